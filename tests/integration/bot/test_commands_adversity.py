"""Commands whose threads and comments change while the bot runs them."""

from __future__ import annotations

import pytest

from bot.core.commands.grammar import MAX_COMMENT
from bot.core.commands.model import Answer
from bot.core.context import thread_key
from bot.core.render import Safe
from hub.comments import marker_of
from hub.records import Repo
from localhub.accounts.store import Caller
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.counted_verbs import (
    CountedVerb,
    add_test_verbs,
    decisions,
    hub_thread,
    is_at_rest,
    owner,
    settle,
)
from tests.support.board.discussion import Discussion
from tests.support.board.pull_requests import propose


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> CountedVerb:
    """Adds test verbs: one that counts its effects, and some that fail."""
    return add_test_verbs(monkeypatch)


# --- threads


@pytest.mark.parametrize("what", ["closed", "locked", "deleted", "no pull request any more"])
def test_a_thread_that_changes_while_a_command_is_done(stand: BoardDriver, bell: CountedVerb, what: str) -> None:
    """A command whose thread is closed, locked or deleted meanwhile has its effect once and is recorded."""
    talk, threads = Discussion(stand), stand.hub.state.threads
    if what == "no pull request any more":
        talk.number, _ = propose(stand, {"notes.txt": b"x"})
        talk.look()

    def meanwhile() -> None:
        repo, thread = hub_thread(stand, talk)
        if what == "closed":
            threads.set_status(repo, owner(stand), thread, "closed")
        elif what == "locked":
            threads.lock(repo, owner(stand), thread, True)
        elif what == "deleted":
            threads.delete(repo, owner(stand), thread)
        else:
            with stand.hub.state.database.write() as db:
                db.execute("UPDATE threads SET is_pull = 0 WHERE oid = ?", (thread.oid,))

    bell.meanwhile = meanwhile
    stand.ada.comment_discussion(REQUESTS, talk.number, comment="/bell", repo_type="dataset")
    talk.look()
    settle(stand)
    if what != "deleted":
        talk.look()
        assert "Rung." in talk.replies()[-1]
    assert len(bell.causes) == 1
    assert is_at_rest(stand, talk)
    assert len(decisions(stand)) == 1


def test_a_command_in_a_locked_thread_waits_until_it_is_unlocked(stand: BoardDriver, bell: CountedVerb) -> None:
    """In a locked thread of a Space that the bot does not own, a command has no effect until the thread is unlocked."""
    stand.context.board = stand.context.board.model_copy(
        update={"repos": stand.context.board.repos.model_copy(update={"community": "ada/place"})}
    )
    stand.context.community = Repo("space", "ada/place")
    stand.ada.create_repo("ada/place", repo_type="space", space_sdk="static")
    number = stand.ada.create_discussion("ada/place", "Talk", description="Hello.", repo_type="space").num
    stand.ada.comment_discussion("ada/place", number, comment="/bell", repo_type="space")
    state = stand.hub.state
    repo = state.repos.get("space", "ada/place")
    assert repo is not None
    ada, key = Caller(state.accounts.by_name("ada"), None), thread_key(stand.context.community, number)
    state.threads.lock(repo, ada, state.threads.get(repo, number), True)
    stand.context.mark(key)
    stand.work()
    assert bell.causes == []
    assert stand.context.parking.all() == []
    assert stand.context.redis.zscore(stand.context.keys.dirty, key) is None
    state.threads.lock(repo, ada, state.threads.get(repo, number), False)
    stand.context.mark(key)
    stand.work()
    assert len(bell.causes) == 1


# --- comments


@pytest.mark.parametrize("how", ["hidden", "edited"])
def test_a_comment_that_changes_after_a_crash_is_not_run_again(stand: BoardDriver, bell: CountedVerb, how: str) -> None:
    """If a command's comment is edited or hidden after the bot crashed in it, the bot replies so and runs nothing."""
    talk = Discussion(stand)

    def die() -> None:
        raise KeyError("killed")

    bell.meanwhile = die
    comment = talk.say("/bell")
    assert "Ringing." in talk.replies()[-1]
    bell.meanwhile = lambda: None
    if how == "hidden":
        stand.ada.hide_discussion_comment(REQUESTS, talk.number, comment, repo_type="dataset")
    else:
        stand.ada.edit_discussion_comment(
            REQUESTS, talk.number, comment, new_content="/bell\n/bell", repo_type="dataset"
        )
    talk.look()
    (reply,) = talk.replies()
    assert "the comment was edited or hidden" in reply
    assert (marker := marker_of(reply)) is not None
    assert marker.kind == "answer"
    assert len(bell.causes) == 1
    assert is_at_rest(stand, talk)


def test_a_comment_that_is_gone_before_it_is_read_is_nothing(stand: BoardDriver, bell: CountedVerb) -> None:
    """The bot runs no command of a hidden comment or of a deleted thread."""
    talk, other = Discussion(stand), Discussion(stand)
    for discussion in (talk, other):
        comment = stand.ada.comment_discussion(REQUESTS, discussion.number, comment="/bell", repo_type="dataset")
    stand.form.hide_discussion_comment(REQUESTS, other.number, comment.id, repo_type="dataset")
    repo, thread = hub_thread(stand, talk)
    stand.hub.state.threads.delete(repo, owner(stand), thread)
    for discussion in (talk, other):
        discussion.look()
        assert is_at_rest(stand, discussion)
    assert bell.causes == []
    assert other.replies() == []


@pytest.mark.long("two seconds of a processor")
def test_comments_of_64_kb_and_of_hundreds_of_commands_get_one_reply(stand: BoardDriver, bell: CountedVerb) -> None:
    """The bot reads the longest comment to its end; of many commands in a comment it runs the first few."""
    talk = Discussion(stand)
    line = "Hello, this is a line.\n"
    talk.say(line * ((MAX_COMMENT - 20) // len(line)) + "\n\n/bell")
    assert len(bell.causes) == 1
    talk.say("/bell\n" * 500)
    assert len(bell.causes) == 6
    assert "I run at most" in talk.replies()[-1]
    for text in ("[" * 60_000, "`" * 60_000, "> " * 30_000, "<!--" * 15_000, "*a " * 20_000, "/x " * 20_000):
        talk.say(f"/bell\n\n{text}")
    assert len(talk.replies()) == 8


def test_a_reply_that_would_be_too_long_says_so(
    stand: BoardDriver, bell: CountedVerb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot leaves out an answer that does not fit into a comment, says so, and posts the rest of the reply."""
    monkeypatch.setattr(bell, "act", lambda _cause: Answer(Safe("word " * 20_000)))
    reply = Discussion(stand).ask("/bell\n/help help")
    assert "does not fit into one comment" in reply
    assert "For anyone" in reply
    assert len(reply) < MAX_COMMENT


def test_a_command_that_fails_does_not_hold_up_those_after_it(stand: BoardDriver, bell: CountedVerb) -> None:
    """After a command that crashes and one that the Hub refuses, the bot still answers a later command."""
    talk = Discussion(stand)
    for text in ("/crash", "/conflict", "/bell"):
        stand.ada.comment_discussion(REQUESTS, talk.number, comment=text, repo_type="dataset")
    talk.look()
    refused, rung = talk.replies()
    assert "The Hub did not let me do this: “The repo is @\u200bmaya's &lt;b>no more&lt;/b>.”" in refused
    assert "Rung." in rung
    talk.look()
    assert len(talk.replies()) == 2
    assert len(bell.causes) == 1
