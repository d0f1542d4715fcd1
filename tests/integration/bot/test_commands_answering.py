"""Commands in threads, through real comments on a local Hub: each comment gets one reply."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.registry import Registry
from bot.core.render import Safe
from bot.threads import answering
from bot.threads.verbs import REGISTRY
from hub.comments import marker_of
from leaderboard.roles import Role
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion


class Bell:
    """A test verb that counts its effects and acts once for each comment id."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.dies = False

    def run(self, call: Call) -> Answer:
        """Return an answer whose effect is `ring`."""
        return Answer(Safe("Ringing."), act=lambda: self.ring(call.cause))

    def ring(self, cause: str) -> Answer:
        """Record the comment's id once; raise if `dies` is set."""
        if self.dies:
            raise RuntimeError("killed")
        if cause not in self.rung:
            self.rung.append(cause)
        return Answer(Safe("Rung."))


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Bell:
    """A verb `/bell` for anyone and `/alarm` for maintainers, beside the real ones."""
    bell = Bell()
    anyone = Verb("bell", "ring", frozenset({Role.ANYONE}), bell.run)
    maintainer = replace(anyone, name="alarm", who=frozenset({Role.MAINTAINER}), irreversible=True)
    monkeypatch.setattr("bot.threads.threads.REGISTRY", Registry((*REGISTRY.verbs, anyone, maintainer)))
    return bell


def test_a_command_is_answered_once_and_has_its_effect_once(stand: BoardDriver, bell: Bell) -> None:
    """A command gets one reply and takes effect once, even if its thread is synced again and Redis is lost."""
    talk = Discussion(stand)
    comment = talk.say("Please:\n/bell")
    for _ in range(3):
        talk.look()
    stand.context.redis.flushall()
    talk.look()
    (reply,) = talk.replies()
    assert "Rung." in reply
    assert "`/bell` · [ada]" in reply
    assert (marker := marker_of(reply)) is not None
    assert (marker.kind, marker.key) == ("answer", comment)
    assert len(bell.rung) == 1


def test_a_bot_that_dies_between_reply_and_effect_goes_on_where_it_was(stand: BoardDriver, bell: Bell) -> None:
    """If the bot dies before a command's effect, the next sync carries it out and edits the reply that exists."""
    talk = Discussion(stand)
    bell.dies = True
    talk.say("/bell")
    (reply,) = talk.replies()
    assert "Ringing." in reply
    bell.dies = False
    stand.time += 30
    talk.look()
    (reply,) = talk.replies()
    assert "Rung." in reply
    assert len(bell.rung) == 1


def test_several_commands_of_a_comment_get_one_reply(stand: BoardDriver, bell: Bell) -> None:
    """One reply answers all commands of a comment, and states the limit beyond which commands are left out."""
    talk = Discussion(stand)
    talk.say("/bell\n/help bell\n/bel\n/alarm\n/help a b\n/bell")
    (reply,) = talk.replies()
    for words in ("Rung.", "Did you mean `/bell`?", "a maintainer of this leaderboard", "“b”", "I run at most"):
        assert words in reply
    assert len(bell.rung) == 1


def test_commands_in_code_quotes_lists_and_headings_are_not_run(stand: BoardDriver, bell: Bell) -> None:
    """Commands in code, quotes, lists, headings or HTML comments, and lines that resemble no verb, get no reply."""
    talk = Discussion(stand)
    talk.say(
        "> /bell\n\n- /bell\n\n```\n/bell\n```\n\n    /bell\n\n# /bell\n\n<!--\n/bell\n-->\n\n/etc/passwd\n\n`/bell`"
    )
    assert talk.replies() == []
    assert bell.rung == []


def test_the_bots_own_words_are_no_commands(stand: BoardDriver, bell: Bell) -> None:
    """The bot does not answer its own reply, which quotes a command; a user's comment with a forged marker is run."""
    talk = Discussion(stand)
    first = talk.say("/help")
    forged = f"<!-- steward:1 demo answer {first} -->\n/bell"
    talk.say(forged)
    assert len(talk.replies()) == 2
    assert len(bell.rung) == 1


def test_an_edited_comment_runs_nothing(stand: BoardDriver, bell: Bell) -> None:
    """A command that an edit adds to a comment is not run, and the bot replies that the comment was edited."""
    talk = Discussion(stand)
    comment = talk.say("Hello")
    stand.ada.edit_discussion_comment(REQUESTS, talk.number, comment, new_content="/bell", repo_type="dataset")
    talk.look()
    (reply,) = talk.replies()
    assert "edited" in reply
    assert bell.rung == []


def test_a_maintainer_is_known_by_id_and_read_afresh(stand: BoardDriver, bell: Bell) -> None:
    """A user may use a maintainer's verb only while the board lists their id; their name in the list does not count."""
    talk = Discussion(stand)
    ada = stand.context.hub.user("ada").id
    talk.say("/alarm")
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (ada,)})
    talk.say("/alarm")
    stand.context.board = stand.context.board.model_copy(update={"maintainers": ("ada",)})
    talk.say("/alarm")
    refused, executed, again = talk.replies()
    assert "Only a maintainer of this leaderboard can use" in refused
    assert "Rung." in executed
    assert "Only a maintainer" in again
    assert len(bell.rung) == 1


def test_commands_beyond_the_hourly_limit_are_not_run(
    stand: BoardDriver, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the hourly limit a command is not run, and the reply states the limit."""
    monkeypatch.setattr("bot.threads.limits.MAX_COMMANDS", 2)
    talk = Discussion(stand)
    for _ in range(3):
        talk.say("/bell")
    assert "more than 2 commands" in talk.replies()[-1]
    assert len(bell.rung) == 2


def test_a_command_costs_few_calls_however_long_its_thread(stand: BoardDriver, bell: Bell) -> None:
    """An answer takes at most six Hub calls, and no more in a thread with 40 further comments."""
    talk = Discussion(stand)
    talk.say("/bell")
    stand.calls.clear()
    talk.say("/bell")
    few = len(stand.calls)
    for number in range(40):
        stand.ada.comment_discussion(REQUESTS, talk.number, comment=f"Comment {number}", repo_type="dataset")
    talk.look()
    stand.calls.clear()
    talk.say("/bell")
    assert len(stand.calls) == few <= 6


def test_an_old_command_is_left_alone(stand: BoardDriver, bell: Bell) -> None:
    """A command that went unanswered for a week has no effect, because its author does not expect it any more."""
    talk = Discussion(stand)
    stand.time += answering.MAX_AGE_SECONDS + 60
    talk.say("/bell")
    assert bell.rung == []
