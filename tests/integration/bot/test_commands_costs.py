"""How many Hub calls an answer takes: for each verb, and in long threads."""

from __future__ import annotations

import pytest
from huggingface_hub import HfApi

from bot.threads.threads import sync_thread
from leaderboard.attempts import Failure
from leaderboard.boards import MaintainingOrganisation
from localhub.accounts.store import Caller
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.pull_requests import fields, look, propose

MOST = 6
THEIRS = Failure(cause="nan-weights", fault="submission", message="Weights are NaN.", advice="Save them again.")
CHECKED = 4
"""Further calls where a model is checked: its facts on the Hub, its config and its tokenizer."""


def calls_of(stand: BoardDriver, talk: Discussion, text: str, who: HfApi) -> list[str]:
    """Post `text` as `who`, about whom nothing is cached; return the routes of the calls that the answer takes."""
    for kind in ("user", "role"):
        for key in stand.context.redis.scan_iter(f"*:person:{kind} *"):
            stand.context.redis.delete(key)
    before = len(talk.replies())
    who.comment_discussion(REQUESTS, talk.number, comment=text, repo_type="dataset")
    stand.calls.clear()
    sync_thread(stand.context, stand.context.requests, talk.number)
    routes = [route for _, route in stand.calls]
    assert len(talk.replies()) == before + 1
    assert "I am on it" not in talk.replies()[-1]
    return routes


@pytest.fixture
def talk(stand: BoardDriver) -> Discussion:
    """A discussion on a board that an organisation maintains, with a request that failed and one that waits."""
    keepers = (MaintainingOrganisation(name="board", role="write"),)
    stand.context.board = stand.context.board.model_copy(update={"maintainer_organisations": keepers})
    stand.worker()
    talk = Discussion(stand)
    stand.submit("ada/good", sender="ada")
    stand.settle()
    (job,) = stand.queued()
    stand.take(job)
    stand.end(job, failure=THEIRS)
    stand.context.workers.leave("w")
    stand.submit("ada/good", path="ada/good_eval_request_False_float16_Original.json", precision="float16")
    stand.settle()
    talk.look()
    return talk


def test_every_command_costs_few_calls(
    stand: BoardDriver, talk: Discussion, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each verb takes at most six Hub calls, roles included; verbs that check a model may take four more."""
    waits, failed = "ada/good precision=float16", "ada/good precision=float32"
    costs = {
        text: len(calls_of(stand, talk, text, who))
        for text, who in (
            ("/help", stand.bob),
            (f"/status {waits}", stand.bob),
            (f"/why {failed}", stand.bob),
            ("/search good", stand.bob),
            (f"/check {waits}", stand.bob),
            (f"/subscribe {waits}", stand.bob),
            (f"/cancel {waits}", stand.bob),
            ("/pause board I say so", stand.form),
            ("/resume board", stand.form),
            (f"/hold {waits} I say so", stand.form),
            (f"/unhold {waits}", stand.form),
            (f"/priority {waits} high", stand.form),
            (f"/cancel {waits}", stand.ada),
            (f"/relaunch {failed}", stand.form),
            (f"/resubmit {failed}", stand.ada),
            ("/submit ada/good precision=bfloat16", stand.bob),
        )
    }
    with capsys.disabled():
        print("\n" + " · ".join(f"{text.split()[0]} {count}" for text, count in costs.items()))
    for text, count in costs.items():
        checks = text.startswith(("/submit", "/resubmit", "/check"))
        assert count <= MOST + CHECKED * checks, text


def test_a_thread_of_five_hundred_comments_costs_as_many_calls_as_one_of_five(
    stand: BoardDriver, talk: Discussion
) -> None:
    """The thread is read in one call, and Redis is not asked about each comment."""
    before = redis_calls(stand)
    few = calls_of(stand, talk, "/status ada/good", stand.bob)
    between = redis_calls(stand)
    state = stand.hub.state
    repo = state.repos.get("dataset", REQUESTS)
    assert repo is not None
    ada = Caller(state.accounts.by_name("ada"), None)
    with state.faults.silence():
        for number in range(500):
            state.threads.comment(repo, ada, state.threads.get(repo, talk.number), f"Comment {number}: I like it.")
    start = redis_calls(stand)
    many = calls_of(stand, talk, "/status ada/good", stand.bob)
    assert many == few == ["thread", "comment"]
    assert redis_calls(stand) - start <= between - before + 20


def redis_calls(stand: BoardDriver) -> int:
    """Commands that the queue server has run since its start."""
    return int(stand.context.redis.info("stats")["total_commands_processed"])


def test_a_decision_about_a_pull_request_costs_few_calls(
    stand: BoardDriver, talk: Discussion, capsys: pytest.CaptureFixture[str]
) -> None:
    """A refused `/approve` and a `/reject` take at most six Hub calls; a merge, checked before and after, twelve."""
    path = "ada/good_eval_request_False_bfloat16_Original.json"
    number, head = propose(stand, {path: fields(stand, precision="bfloat16")})
    other, _ = propose(stand, {"notes.txt": b"x"})
    for pull in (number, other):
        look(stand, pull)
    costs = {}
    for what, at, text, who in (
        ("refused", number, f"/approve {head[:12]}", stand.bob),
        ("merged", number, f"/approve {head[:12]}", stand.form),
        ("closed", other, "/reject not now", stand.form),
    ):
        talk.number = at
        costs[what] = len(calls_of(stand, talk, text, who))
    with capsys.disabled():
        print(f"\n{costs}")
    assert costs["refused"] <= costs["closed"] <= MOST
    assert costs["merged"] <= 2 * MOST
