"""The link of a worker without Redis: on which answers of the bot it gives up, and on which it tries again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from leaderboard.attempts import Details, Outcome
from redis_state.attempts import AttemptProgress
from workers.errors import BoardUnreachable, CallRefused
from workers.jobs.https_link import HttpsLink, JobGone
from workers.jobs.outbox import has_unsent_outcome, send_unsent_outcome, store_outcome

ATTEMPT = "0123456789ab-01234567-1"
OUTCOME = Outcome(
    attempt=ATTEMPT, path="p", revision="a" * 40, suite="s", suite_digest="d", started=1, ended=2, phase="evaluate"
)
DETAILS = Details(repo="org/details", commit="b" * 40, results_path="results.json")


def link_with(answer: Callable[[httpx2.Request], httpx2.Response]) -> HttpsLink:
    """A link to a server that answers calls with `answer`."""
    link = HttpsLink("https://board.example", ATTEMPT, "token", worker="w")
    link._calls._client = httpx2.Client(transport=httpx2.MockTransport(answer))
    return link


def link_to(status: int) -> HttpsLink:
    """A link to a server that answers every call with this status."""
    return link_with(lambda _: httpx2.Response(status, text="gone"))


def test_a_job_that_is_gone_ends_the_worker() -> None:
    """The answer 410 to the call for the job raises `JobGone`: the attempt was recalled, or another worker has it."""
    with pytest.raises(JobGone):
        link_to(410).take_job()


def test_a_beat_that_a_proxy_answers_is_repeated() -> None:
    """The answer 410 to a beat counts as an unreachable bot: the bot sends 410 only to the call for the job."""
    with pytest.raises(BoardUnreachable):
        link_to(410).attempts().beat(ATTEMPT, AttemptProgress("load"), now=0.0, worker="w", path="p")


@pytest.mark.parametrize(("status", "error"), [(413, CallRefused), (422, CallRefused), (503, BoardUnreachable)])
def test_a_refused_call_differs_from_an_unreachable_bot(status: int, error: type[Exception]) -> None:
    """The answers 413 and 422 refuse a call for good; 503 means that the bot is unreachable and the worker waits."""
    with pytest.raises(error):
        link_to(status).attempts().take(ATTEMPT, "p", "w", now=0.0)


@pytest.mark.parametrize(
    ("is_refused", "details", "sent"),
    [
        (lambda call: len(call["log"]) > 300, None, [""]),
        (lambda call: call["outcome"]["failure"] is None, None, ["call-refused"]),
        (lambda _: True, None, []),
        (lambda call: call["outcome"]["failure"] is None, DETAILS, []),
    ],
    ids=["its log", "the outcome", "all", "published results"],
)
def test_an_outcome_that_the_bot_refuses_ends_the_attempt(
    is_refused: Callable[[dict[str, Any]], bool], details: Details | None, sent: list[str], tmp_path: Path
) -> None:
    """The worker sends a refused outcome without its log, then as a failure, unless its results are published."""
    ends: list[dict[str, Any]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        call = json.loads(request.content)
        if request.url.path.endswith("/end"):
            if is_refused(call):
                return httpx2.Response(413, text="too large")
            ends.append(call)
        return httpx2.Response(200, json={"answer": True})

    store_outcome(tmp_path, OUTCOME.model_copy(update={"details": details}), "x" * 1_000, worker="w")
    if sent:
        assert send_unsent_outcome(tmp_path, link_with(answer)) == ATTEMPT
    else:
        with pytest.raises(CallRefused, match="too large"):
            send_unsent_outcome(tmp_path, link_with(answer))
    assert not has_unsent_outcome(tmp_path)
    assert [(end["outcome"]["failure"] or {}).get("cause", "") for end in ends] == sent
    assert all("413" in end["log"] for end in ends)
