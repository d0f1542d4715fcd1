"""What happens to commands when threads, comments, accounts, rights and clocks change under them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from huggingface_hub import HfApi
from pulls_kit import PATH, fields, look, propose, report
from pulls_kit import thread as pull_thread
from stand_kit import BOT, REQUESTS, Stand
from talk_kit import Talk

from bot.commands import answering, limits
from bot.commands.call import Answer, Call
from bot.commands.grammar import LONGEST
from bot.commands.registry import Registry, Verb
from bot.commands.verbs import REGISTRY
from bot.desk import thread_key
from bot.texts.render import Safe
from hub.comments import marked, marker_of
from hub.errors import Conflict
from hub.records import Repo
from leaderboard.boards import MaintainingOrganisation
from leaderboard.roles import Role
from localhub.accounts import Caller

KEEPERS = (MaintainingOrganisation(name="board", role="write"),)


class Bell:
    """A verb that is counted, and during which something else happens."""

    def __init__(self) -> None:
        self.rung: list[str] = []
        self.meanwhile: Callable[[], Any] = lambda: None

    def run(self, call: Call) -> Answer:
        """Ring once for each command."""
        return Answer(Safe("Ringing."), act=lambda: self.ring(call.cause))

    def ring(self, cause: str) -> Safe:
        """The effect, and then what happens meanwhile."""
        if cause not in self.rung:
            self.rung.append(cause)
        self.meanwhile()
        return Safe("Rung.")


@pytest.fixture
def bell(monkeypatch: pytest.MonkeyPatch) -> Bell:
    """`/bell`, for anybody, which decides; `/toll` dies of a mistake of ours, `/knell` of the Hub's refusal."""
    bell = Bell()
    verb = Verb("bell", "ring", frozenset({Role.ANYONE}), bell.run, decides=True)

    def toll(call: Call) -> Answer:
        raise ZeroDivisionError

    def knell(call: Call) -> Answer:
        raise Conflict("The repo is @maya's <b>no more</b>.")

    extra = (verb, replace(verb, name="toll", run=toll), replace(verb, name="knell", run=knell))
    monkeypatch.setattr("bot.sync.threads.REGISTRY", Registry((*REGISTRY.verbs, *extra)))
    return bell


def hub_thread(stand: Stand, talk: Talk) -> tuple[Any, Any]:
    """The discussion inside the Hub."""
    repo = stand.hub.box.repos.get("dataset", REQUESTS)
    return repo, stand.hub.box.threads.get(repo, talk.number)


def owner(stand: Stand) -> Caller:
    """Somebody of the board, who may do anything to its threads."""
    return Caller(stand.hub.box.accounts.by_name("form"), None)


def is_at_rest(stand: Stand, talk: Talk) -> bool:
    """Whether nothing is left to do in the thread: not dirty, and not parked."""
    key = thread_key(stand.desk.requests, talk.number)
    waits = stand.desk.redis.zscore(stand.desk.keys.dirty, key) is not None
    return not waits and key not in {one.key for one in stand.desk.parking.all()}


def decisions(stand: Stand) -> list[str]:
    """The recorded decisions."""
    return [one.path for one in stand.desk.hub.list_files(stand.desk.logs) if one.path.startswith("decisions/")]


def settle(stand: Stand) -> None:
    """Let the ledgers write."""
    stand.time += 300
    stand.work()


# --- threads


@pytest.mark.parametrize("what", ["closed", "locked", "deleted", "no pull request any more"])
def test_a_thread_that_changes_while_a_command_is_done(stand: Stand, bell: Bell, what: str) -> None:
    """The command has its effect once, is recorded, and the thread comes to rest, whatever became of it."""
    talk, threads = Talk(stand), stand.hub.box.threads
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
            with stand.hub.box.store.write() as db:
                db.execute("UPDATE threads SET is_pull = 0 WHERE oid = ?", (thread.oid,))

    bell.meanwhile = meanwhile
    stand.ada.comment_discussion(REQUESTS, talk.number, comment="/bell", repo_type="dataset")
    talk.look()
    settle(stand)
    if what != "deleted":
        talk.look()
        assert "Rung." in talk.replies()[-1]
    assert len(bell.rung) == 1
    assert is_at_rest(stand, talk)
    assert len(decisions(stand)) == 1


def test_where_the_hub_lets_us_not_speak_nothing_is_done(stand: Stand, bell: Bell) -> None:
    """In a locked thread of a Space that is not ours a command waits, and is done once we may speak."""
    stand.desk.board = stand.desk.board.model_copy(
        update={"repos": stand.desk.board.repos.model_copy(update={"community": "ada/place"})}
    )
    stand.desk.community = Repo("space", "ada/place")
    stand.ada.create_repo("ada/place", repo_type="space", space_sdk="static")
    number = stand.ada.create_discussion("ada/place", "Talk", description="Hello.", repo_type="space").num
    stand.ada.comment_discussion("ada/place", number, comment="/bell", repo_type="space")
    box = stand.hub.box
    repo = box.repos.get("space", "ada/place")
    assert repo is not None
    ada, key = Caller(box.accounts.by_name("ada"), None), thread_key(stand.desk.community, number)
    box.threads.lock(repo, ada, box.threads.get(repo, number), True)
    stand.desk.mark(key)
    stand.work()
    assert bell.rung == []
    assert stand.desk.parking.all() == []
    assert stand.desk.redis.zscore(stand.desk.keys.dirty, key) is None
    box.threads.lock(repo, ada, box.threads.get(repo, number), False)
    stand.desk.mark(key)
    stand.work()
    assert len(bell.rung) == 1


# --- comments


@pytest.mark.parametrize("how", ["hidden", "edited"])
def test_a_comment_that_changes_before_its_effect_is_known_runs_no_more(stand: Stand, bell: Bell, how: str) -> None:
    """The bot dies at it; meanwhile its words are taken back. What is written there now is not run."""
    talk = Talk(stand)

    def die() -> None:
        raise KeyError("killed")

    bell.meanwhile = die
    said = talk.say("/bell")
    assert "Ringing." in talk.replies()[-1]
    bell.meanwhile = lambda: None
    if how == "hidden":
        stand.ada.hide_discussion_comment(REQUESTS, talk.number, said, repo_type="dataset")
    else:
        stand.ada.edit_discussion_comment(REQUESTS, talk.number, said, new_content="/bell\n/bell", repo_type="dataset")
    talk.look()
    (reply,) = talk.replies()
    assert "edited or hidden meanwhile" in reply
    assert (marker := marker_of(reply)) is not None
    assert marker.kind == "answer"
    assert len(bell.rung) == 1
    assert is_at_rest(stand, talk)


def test_a_comment_that_is_gone_before_it_is_read_is_nothing(stand: Stand, bell: Bell) -> None:
    """Hidden comments run nothing, nor do those of a thread that was deleted."""
    talk, other = Talk(stand), Talk(stand)
    for one in (talk, other):
        said = stand.ada.comment_discussion(REQUESTS, one.number, comment="/bell", repo_type="dataset")
    stand.form.hide_discussion_comment(REQUESTS, other.number, said.id, repo_type="dataset")
    repo, thread = hub_thread(stand, talk)
    stand.hub.box.threads.delete(repo, owner(stand), thread)
    for one in (talk, other):
        one.look()
        assert is_at_rest(stand, one)
    assert bell.rung == []
    assert other.replies() == []


def test_comments_of_64_kb_and_of_hundreds_of_commands_get_one_reply(stand: Stand, bell: Bell) -> None:
    """The longest comment that the Hub takes is read to its end; of many commands the first few are run."""
    talk = Talk(stand)
    line = "Hello, this is a line.\n"
    talk.say(line * ((LONGEST - 20) // len(line)) + "\n\n/bell")
    assert len(bell.rung) == 1
    talk.say("/bell\n" * 500)
    assert len(bell.rung) == 6
    assert "more commands than" in talk.replies()[-1]
    for text in ("[" * 60_000, "`" * 60_000, "> " * 30_000, "<!--" * 15_000, "*a " * 20_000, "/x " * 20_000):
        talk.say(f"/bell\n\n{text}")
    assert len(talk.replies()) == 8


def test_a_reply_that_would_be_too_long_says_so(stand: Stand, bell: Bell, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit into a comment is left out, and the rest of the reply told."""
    monkeypatch.setattr(bell, "ring", lambda _cause: Safe("word " * 20_000))
    reply = Talk(stand).ask("/bell\n/help help")
    assert "more to say to this than fits" in reply
    assert "It can be used by anyone" in reply
    assert len(reply) < LONGEST


def test_a_command_that_fails_does_not_hold_up_those_after_it(stand: Stand, bell: Bell) -> None:
    """One dies of a mistake of ours, one is refused by the Hub: who wrote later gets an answer all the same."""
    talk = Talk(stand)
    for text in ("/toll", "/knell", "/bell"):
        stand.ada.comment_discussion(REQUESTS, talk.number, comment=text, repo_type="dataset")
    talk.look()
    refused, rung = talk.replies()
    assert "The Hub did not let me do this: “The repo is @\u200bmaya's &lt;b>no more&lt;/b>.”" in refused
    assert "Rung." in rung
    talk.look()
    assert len(talk.replies()) == 2
    assert len(bell.rung) == 1


# --- people


def test_accounts_that_are_deleted_or_renamed(stand: Stand, bell: Bell) -> None:
    """A command of nobody is not run; a maintainer with another name is still one, and who took the name is none."""
    box, talk = stand.hub.box, Talk(stand)
    form = stand.desk.hub.user("form").id
    stand.desk.board = stand.desk.board.model_copy(update={"maintainers": (form,)})
    with box.store.write() as db:
        db.execute("UPDATE accounts SET name = 'formerly', key = 'formerly' WHERE key = 'form'")
        db.execute("UPDATE accounts SET name = 'form', key = 'form' WHERE key = 'bob'")
    assert "Paused" in talk.ask("/pause tier:large I say so", stand.form)
    assert "[formerly]" in talk.replies()[-1]
    assert "can be used by a maintainer" in talk.ask("/pause tier:small I say so", stand.bob)
    stand.bob.comment_discussion(REQUESTS, talk.number, comment="/bell", repo_type="dataset")
    bob = box.accounts.by_name("form")
    assert bob is not None
    box.accounts.delete(bob)
    talk.look()
    assert bell.rung == []
    assert len(talk.replies()) == 2
    assert is_at_rest(stand, talk)


def test_an_account_that_is_deleted_while_its_command_is_done(stand: Stand, bell: Bell) -> None:
    """The bot dies at it, and its author is gone when it comes back: the reply says that it ends there."""
    talk, box = Talk(stand), stand.hub.box

    def die() -> None:
        raise KeyError("killed")

    bell.meanwhile = die
    talk.say("/bell", stand.bob)
    bob = box.accounts.by_name("bob")
    assert bob is not None
    box.accounts.delete(bob)
    bell.meanwhile = lambda: None
    talk.look()
    assert "its author is gone" in talk.replies()[-1]
    assert is_at_rest(stand, talk)


def test_who_lost_membership_a_second_ago_approves_nothing(stand: Stand) -> None:
    """What was known of a maintainer a moment before does not count where something cannot be undone."""
    stand.desk.board = stand.desk.board.model_copy(update={"maintainer_organisations": KEEPERS})
    number, head = propose(stand, {PATH: fields(stand)})
    look(stand, number)
    assert "Not yet" not in report(stand, number)
    talk = Talk(stand)
    assert "Paused" in talk.ask("/pause tier:large I say so", stand.form)
    box = stand.hub.box
    org, form = box.accounts.by_name("board"), box.accounts.by_name("form")
    assert org is not None
    assert form is not None
    box.accounts.set_member(org, form, None)
    talk.number = number
    assert "can be used by a maintainer" in talk.ask(f"/approve {head[:12]}", stand.form)
    assert pull_thread(stand, number).status == "open"
    box.accounts.set_member(org, form, "write")
    talk.say(f"/approve {head[:12]}", stand.form)
    assert pull_thread(stand, number).status == "merged"


# --- loops


def test_a_bot_that_answers_ours_with_commands_is_left_alone(
    stand: Stand, bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many commands it is told once, and then ignored, also after the hour is over: so there is no loop."""
    monkeypatch.setattr(limits, "MOST", 4)
    talk = Talk(stand)
    talk.say("/bell", stand.bob)
    for _ in range(12):
        if len(talk.replies()) == len(bell.rung) + 1:
            break
        talk.say("/bell", stand.bob)
    assert "more than 4 commands" in talk.replies()[-1]
    told = len(talk.replies())
    for _ in range(3):
        talk.say("/bell", stand.bob)
    assert len(talk.replies()) == told
    stand.time += limits.WINDOW + 60
    talk.look()
    assert (len(talk.replies()), len(bell.rung)) == (told, 4)
    talk.say("/bell", stand.bob)
    assert len(bell.rung) == 5


def test_what_other_bots_copy_from_ours_is_no_command(stand: Stand, bell: Bell) -> None:
    """A reply that somebody posts again, marker and all, or quotes, is answered by nobody."""
    talk = Talk(stand)
    reply = talk.ask("/bell")
    talk.say(reply, stand.bob)
    talk.say("\n".join(f"> {line}" for line in reply.splitlines()), stand.bob)
    talk.say(marked(reply.partition("\n")[2], stand.desk.marker("answer", "0123")), stand.bob)
    talk.look()
    assert len(talk.replies()) == 1
    assert len(bell.rung) == 1


def test_our_own_words_are_no_commands_even_if_they_look_like_one(stand: Stand, bell: Bell) -> None:
    """Whatever our own account writes, by hand or by program, is not run."""
    talk = Talk(stand)
    talk.say("/bell", HfApi(stand.hub.url, token=BOT))
    assert bell.rung == []


# --- clocks


@pytest.mark.parametrize("apart", [-86_400.0, -3_700.0, 3_700.0, 3 * 86_400.0])
def test_clocks_that_disagree_change_nothing(
    stand: Stand, bell: Bell, monkeypatch: pytest.MonkeyPatch, apart: float
) -> None:
    """However far the Hub's clock is from ours, a command is run once, and its author held to the limit."""
    monkeypatch.setattr(limits, "MOST", 3)
    stand.time += apart
    talk = Talk(stand)
    for _ in range(4):
        talk.say("/bell")
    talk.look()
    assert len(bell.rung) == 3
    assert len(talk.replies()) == 4
    assert "more than 3 commands" in talk.replies()[-1]


# --- conflicts


@pytest.fixture
def waiting_request(stand: Stand) -> str:
    """A request that waits, on a board whose maintainer is the form's account; its path."""
    form = stand.desk.hub.user("form").id
    stand.desk.board = stand.desk.board.model_copy(update={"maintainers": (form,), "front_ends": (form,)})
    path = stand.submit("ada/good", sender="ada")
    stand.settle()
    return path


@pytest.mark.parametrize("threads", [1, 2])
def test_of_two_who_want_opposite_things_the_second_is_told(stand: Stand, waiting_request: str, threads: int) -> None:
    """Ada withdraws a request and a maintainer puts it on hold at the same moment: the file says the first."""
    talks = [Talk(stand) for _ in range(threads)]
    stand.ada.comment_discussion(REQUESTS, talks[0].number, comment="/cancel ada/good mine", repo_type="dataset")
    stand.form.comment_discussion(REQUESTS, talks[-1].number, comment="/hold ada/good no", repo_type="dataset")
    stand.form.comment_discussion(REQUESTS, talks[-1].number, comment="/cancel ada/good", repo_type="dataset")
    for one in talks:
        stand.desk.mark(thread_key(stand.desk.requests, one.number))
    stand.work()
    said = [reply for one in talks for reply in one.replies()]
    for reply, words in zip(
        said, ("is being cancelled", "has come to its end (`CANCELLED`)", "is cancelled already"), strict=True
    ):
        assert words in reply
    settle(stand)
    file = stand.file(waiting_request)
    assert file["status"] == "CANCELLED"
    assert "hold" not in file["steward"]


def test_hold_and_unhold_and_hold_again_at_once(stand: Stand, waiting_request: str) -> None:
    """Three in a row before anything is committed: the last one stands."""
    talk = Talk(stand)
    for text in ("/hold ada/good one", "/unhold ada/good", "/hold ada/good one", "/hold ada/good one"):
        stand.form.comment_discussion(REQUESTS, talk.number, comment=text, repo_type="dataset")
    talk.look()
    words = ("until the hold is lifted", "is lifted", "until the hold is lifted", "for this very reason already")
    for reply, one in zip(talk.replies(), words, strict=True):
        assert one in reply
    settle(stand)
    assert stand.file(waiting_request)["steward"]["hold"]["reason"] == "one"


def test_pause_and_resume_at_once(stand: Stand, waiting_request: str) -> None:
    """What was paused a moment ago can be resumed, before the pause is committed."""
    talk = Talk(stand)
    for text in ("/pause board moving", "/resume board", "/resume board"):
        stand.form.comment_discussion(REQUESTS, talk.number, comment=text, repo_type="dataset")
    talk.look()
    for reply, one in zip(talk.replies(), ("Paused", "goes on", "is not paused"), strict=True):
        assert one in reply


def test_approve_and_reject_at_once(stand: Stand, waiting_request: str) -> None:
    """The first decides about the pull request, and the second is told what became of it."""
    path = "ada/good_eval_request_False_float16_Original.json"
    number, head = propose(stand, {path: fields(stand, precision="float16")})
    look(stand, number)
    talk = Talk(stand)
    talk.number = number
    for text in (f"/approve {head[:12]}", "/reject I changed my mind"):
        stand.form.comment_discussion(REQUESTS, number, comment=text, repo_type="dataset")
    talk.look()
    approved, rejected = (one for one in talk.replies() if (it := marker_of(one)) is not None and it.kind == "answer")
    assert "exactly as it was checked" in approved
    assert "is merged already; nothing was changed" in rejected
    assert pull_thread(stand, number).status == "merged"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/hold ada/good no", "until the hold is lifted"),
        ("/priority ada/good high", "has `high` priority from now on"),
        ("/cancel ada/good", "is being cancelled"),
        ("/pause board no", "Paused: `board`"),
        ("/submit ada/good precision=float16", "was checked and is submitted"),
        ("/resubmit ada/good revision=main", "waits for its turn at"),
    ],
)
def test_a_bot_that_dies_after_the_effect_says_it_once_more_and_does_it_once(
    stand: Stand, waiting_request: str, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    """Whoever gave the command reads that it was done, not that it was so already; there is one edit of it."""
    died: list[str] = []

    def die_once(point: str) -> None:
        if point == answering.ACTED and not died:
            died.append(point)
            raise KeyError("killed")

    monkeypatch.setattr(answering, "pass_by", die_once)
    talk = Talk(stand)
    talk.say(text, stand.form)
    assert died
    settle(stand)
    talk.look()
    (reply,) = talk.replies()
    assert words in reply
    settle(stand)
    assert is_at_rest(stand, talk)
    assert len(decisions(stand)) == 1
