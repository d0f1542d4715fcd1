"""Conflicting commands at the same moment, and a bot that dies between a command's effect and its reply."""

from __future__ import annotations

import json

import pytest

from bot.core.context import thread_key
from bot.threads import answering
from hub.comments import marker_of
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.counted_verbs import decisions, is_at_rest, settle
from tests.support.board.discussion import Discussion
from tests.support.board.pull_requests import fields, look, propose
from tests.support.board.pull_requests import thread as pull_thread
from tests.support.long import long_except


@pytest.fixture
def waiting_request(stand: BoardDriver) -> str:
    """The path of a waiting request, on a board whose maintainer is the form's account."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,), "front_ends": (form,)})
    path = stand.submit("ada/good", sender="ada")
    stand.settle()
    return path


@pytest.mark.parametrize("threads", [2, 1])
def test_the_second_of_two_conflicting_commands_is_refused(
    stand: BoardDriver, waiting_request: str, threads: int
) -> None:
    """If Ada cancels a request just before a maintainer holds it, it ends cancelled and the later replies say so."""
    talks = [Discussion(stand) for _ in range(threads)]
    stand.ada.comment_discussion(REQUESTS, talks[0].number, comment="/cancel ada/good mine", repo_type="dataset")
    stand.form.comment_discussion(REQUESTS, talks[-1].number, comment="/hold ada/good no", repo_type="dataset")
    stand.form.comment_discussion(REQUESTS, talks[-1].number, comment="/cancel ada/good", repo_type="dataset")
    for discussion in talks:
        stand.context.mark(thread_key(stand.context.requests, discussion.number))
    stand.work()
    replies = [reply for discussion in talks for reply in discussion.replies()]
    for reply, words in zip(
        replies, ("I am cancelling", "has ended (`CANCELLED`)", "is already cancelled"), strict=True
    ):
        assert words in reply
    settle(stand)
    file = stand.file(waiting_request)
    assert file["status"] == "CANCELLED"
    assert "hold" not in file["steward"]


def test_hold_and_unhold_and_hold_again_at_once(stand: BoardDriver, waiting_request: str) -> None:
    """Of several `/hold` and `/unhold` before anything is committed, the last one is written to the request file."""
    talk = Discussion(stand)
    for text in ("/hold ada/good one", "/unhold ada/good", "/hold ada/good one", "/hold ada/good one"):
        stand.form.comment_discussion(REQUESTS, talk.number, comment=text, repo_type="dataset")
    talk.look()
    words = ("until the hold is lifted", "is lifted", "until the hold is lifted", "for this reason")
    for reply, part in zip(talk.replies(), words, strict=True):
        assert part in reply
    settle(stand)
    assert stand.file(waiting_request)["steward"]["hold"]["reason"] == "one"


@pytest.mark.parametrize(
    ("texts", "fact", "stands"),
    [
        (("/hold ada/good one", "/unhold ada/good", "/hold ada/good one"), "hold", True),
        (("/priority ada/good high", "/priority ada/good normal", "/priority ada/good high"), "priority", True),
        (("/hold ada/good one", "/unhold ada/good", "/hold ada/good one", "/unhold ada/good"), "hold", False),
    ],
)
def test_the_last_of_several_commands_decides_even_if_it_repeats_the_first(
    stand: BoardDriver, waiting_request: str, texts: tuple[str, ...], fact: str, *, stands: bool
) -> None:
    """The last of several opposite commands decides, also where a reversal restores the file byte for byte."""
    stand.put(waiting_request, json.dumps({**stand.file(waiting_request), "steward": {"submitter": "ada"}}).encode())
    settle(stand)
    talk = Discussion(stand)
    for text in texts:
        stand.form.comment_discussion(REQUESTS, talk.number, comment=text, repo_type="dataset")
    talk.look()
    settle(stand)
    assert (fact in stand.file(waiting_request)["steward"]) == stands


def test_pause_and_resume_at_once(stand: BoardDriver, waiting_request: str) -> None:
    """A pause can be lifted before it is committed."""
    talk = Discussion(stand)
    for text in ("/pause board moving", "/resume board", "/resume board"):
        stand.form.comment_discussion(REQUESTS, talk.number, comment=text, repo_type="dataset")
    talk.look()
    for reply, part in zip(talk.replies(), ("Paused", "Resumed", "is not paused"), strict=True):
        assert part in reply


def test_approve_and_reject_at_once(stand: BoardDriver, waiting_request: str) -> None:
    """`/approve` merges a pull request; the reply to a `/reject` right after it says that it is already merged."""
    path = "ada/good_eval_request_False_float16_Original.json"
    number, head = propose(stand, {path: fields(stand, precision="float16")})
    look(stand, number)
    talk = Discussion(stand)
    talk.number = number
    for text in (f"/approve {head[:12]}", "/reject I changed my mind"):
        stand.form.comment_discussion(REQUESTS, number, comment=text, repo_type="dataset")
    talk.look()
    approved, rejected = (
        reply for reply in talk.replies() if (marker := marker_of(reply)) is not None and marker.kind == "answer"
    )
    assert "exactly as I checked it" in approved
    assert "is already merged, so I changed nothing" in rejected
    assert pull_thread(stand, number).status == "merged"


EFFECTS = [
    ("/hold ada/good no", "until the hold is lifted"),
    ("/priority ada/good high", "now has `high` priority"),
    ("/cancel ada/good", "I am cancelling"),
    ("/resume board", "Resumed: `board`"),
    ("/unhold ada/good", "is lifted"),
    ("/pause board no", "Paused: `board`"),
    ("/submit ada/good precision=float16", "passed all checks and is submitted"),
    ("/resubmit ada/good revision=main", "is already waiting at"),
]


@pytest.mark.parametrize(
    ("text", "words"),
    long_except(
        {"/hold", "/unhold", "/submit", "/resubmit"}, EFFECTS, "another command", name=lambda case: case[0].split()[0]
    ),
)
def test_a_bot_that_dies_after_the_effect_says_it_once_more_and_does_it_once(
    stand: BoardDriver, waiting_request: str, monkeypatch: pytest.MonkeyPatch, text: str, words: str
) -> None:
    """If the bot dies between a command's effect and its reply, it later replies once without repeating the effect."""
    died: list[str] = []
    before = {"/unhold ada/good": "/hold ada/good no", "/resume board": "/pause board no"}.get(text)
    if before is not None:
        Discussion(stand).say(before, stand.form)
        settle(stand)

    def die_once(point: str) -> None:
        if point == answering.EFFECT_DONE and not died:
            died.append(point)
            raise KeyError("killed")

    monkeypatch.setattr(answering, "pass_by", die_once)
    talk = Discussion(stand)
    talk.say(text, stand.form)
    assert died
    settle(stand)
    talk.look()
    (reply,) = talk.replies()
    assert words in reply
    settle(stand)
    assert is_at_rest(stand, talk)
    assert len(decisions(stand)) == 1 + (before is not None)
