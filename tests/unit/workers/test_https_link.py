"""The link of a worker without Redis: which answers end its attempt, and which are waited out."""

from __future__ import annotations

import httpx2
import pytest

from redis_state.attempts import AttemptProgress
from workers.errors import BoardUnreachable
from workers.jobs.https_link import HttpsLink, JobGone

ATTEMPT = "0123456789ab-01234567-1"


def link_to(status: int) -> HttpsLink:
    """A link to a server that answers every call with this status."""
    link = HttpsLink("https://board.example", ATTEMPT, "token", worker="w")
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, text="gone"))
    link._calls._client = httpx2.Client(transport=transport)
    return link


def test_a_job_that_is_gone_ends_the_worker() -> None:
    """The attempt was recalled, or another worker has it."""
    with pytest.raises(JobGone):
        link_to(410).take_job()


def test_a_beat_that_a_proxy_answers_is_repeated() -> None:
    """Only the call for the job has a 410 of the bot: any other error would end the thread that beats."""
    with pytest.raises(BoardUnreachable):
        link_to(410).attempts().beat(ATTEMPT, AttemptProgress("load"), now=0.0, worker="w", path="p")
