"""Answers of proxies between a worker and the bot's web server."""

from __future__ import annotations

import httpx2
import pytest

from workers.errors import BoardUnreachable
from workers.jobs.https_link import HttpsLink, JobGone


def test_a_410_ends_no_heartbeat() -> None:
    """Only the call for the job is answered with 410 by the bot; another one counts as the bot being away."""
    link = HttpsLink("https://board.example", "a" * 16, "token", worker="w")
    gone = httpx2.MockTransport(lambda _: httpx2.Response(410))
    link._calls._client = httpx2.Client(transport=gone)
    with pytest.raises(JobGone):
        link.take_job()
    with pytest.raises(BoardUnreachable):
        link.attempts().read("a" * 16)
