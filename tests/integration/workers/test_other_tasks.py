"""A worker whose tasks ask or score otherwise than those of the board's results waits for the operator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from leaderboard.result_digests import AskedParts, DigestParts, ResultDigests, ScoredParts, TaskDigests, combine
from leaderboard.suites import find_suite
from redis_state.accepted_digests import AcceptedDigests
from steward.testing.waiting import wait_until
from tests.support.workers.worker_process import AttemptQueue, WorkerProcess, job

STARTER = find_suite("starter")


def digests_of_a_result() -> ResultDigests:
    """The digests of a result that asked other questions than the trial `changed`."""
    asked = AskedParts(requests="0" * 64, documents="2" * 64, questions=2)
    scored = ScoredParts(metrics="3" * 16, filters="3" * 16, targets="3" * 16)
    return combine(DigestParts(tasks={"starter_navigation": TaskDigests(asked=asked, scored=scored)}), STARTER)


@pytest.fixture
def accepted(bot: AttemptQueue) -> Iterator[AcceptedDigests]:
    """The board accepts only the digests of that result, until the end of the test."""
    accepted = AcceptedDigests(bot.connection, bot.keys, STARTER.digest)
    accepted.note(digests_of_a_result())
    yield accepted
    bot.connection.delete(bot.keys.accepted_digests(STARTER.digest))


def test_a_worker_whose_tasks_differ_waits_for_the_operator(
    bot: AttemptQueue, accepted: AcceptedDigests, start_worker: Callable[..., WorkerProcess]
) -> None:
    """The worker hands the attempt back, reports the difference, and takes no job until the operator accepts it."""
    worker, asked = start_worker(), job("changed")
    bot.enqueue(asked)
    bot.grant(asked)
    (refused,) = wait_until(accepted.waiting)
    assert refused.differences == ("starter_navigation: other requests (2 questions and 3 questions)",)
    assert bot.reaches(asked, "handed-back")
    assert wait_until(lambda: "takes no job" in worker.log())
    assert wait_until(lambda: not bot.in_rq(asked))
    bot.enqueue(asked)
    assert accepted.must_wait(refused.worker)
    assert bot.in_rq(asked)
    accepted.accept(refused.fingerprint)
    bot.grant(asked)
    assert bot.outcome(asked)[0].ok
    assert accepted.waiting() == []
