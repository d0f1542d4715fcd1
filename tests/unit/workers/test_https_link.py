"""The link of a worker without Redis: which answers end its attempt, and which are waited out."""

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
    """The attempt was recalled, or another worker has it."""
    with pytest.raises(JobGone):
        link_to(410).take_job()


def test_a_beat_that_a_proxy_answers_is_repeated() -> None:
    """Only the call for the job has a 410 of the bot: any other error would end the thread that beats."""
    with pytest.raises(BoardUnreachable):
        link_to(410).attempts().beat(ATTEMPT, AttemptProgress("load"), now=0.0, worker="w", path="p")


@pytest.mark.parametrize(("status", "error"), [(413, CallRefused), (422, CallRefused), (503, BoardUnreachable)])
def test_a_call_that_is_refused_for_good_is_no_bot_that_is_away(status: int, error: type[Exception]) -> None:
    """A worker waits for a bot that is away; it would repeat a call that is not valid for ever."""
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
    """It is sent without its log, then as a failure with the reason; the bot finds published results on the Hub."""
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
