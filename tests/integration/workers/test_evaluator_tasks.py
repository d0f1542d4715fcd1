"""An evaluator whose questions are not those of the board's results, in a real worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from leaderboard.result_digests import DigestParts, ResultDigests, combine
from redis_state.accepted_digests import AcceptedDigests
from tests.support.evaluators.suites import REPO, question_files, suite_fields
from tests.support.sizes import WHOLE
from tests.support.waiting import wait_until
from tests.support.workers.real_worker import RealWorker, running_worker
from workers.models.tiny_model import model as tiny_model

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(not WHOLE, reason="a worker and a Hub of its own: `make matrices` runs it"),
]


@pytest.fixture
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorker]:
    """A worker whose suite names the good evaluator."""
    with running_worker(tmp_path_factory.mktemp("pairs"), suite_fields()) as stand:
        stand.upload(REPO, question_files(), kind="dataset")
        yield stand


def other(stand: RealWorker, digests: ResultDigests) -> ResultDigests:
    """The digests of a result of the suite with other prompts."""
    parts = DigestParts.model_validate(digests.model_dump())
    task = parts.tasks["nearer"]
    asked = task.asked.model_copy(update={"requests": "0" * 64})
    changed = parts.model_copy(update={"tasks": {"nearer": task.model_copy(update={"asked": asked})}})
    return combine(changed, stand.suite)


def test_other_questions_wait_for_an_operator(stand: RealWorker) -> None:
    """The same tasks are published again. Where the board's results have others, the worker says why it waits."""
    stand.start_worker()
    revision = stand.upload("trial/good", tiny_model())
    (first,) = stand.run(stand.job("trial/good", revision))
    digests = ResultDigests.model_validate(stand.results(first)["steward"]["digests"])
    accepted = AcceptedDigests(stand.queue.connection, stand.queue.keys, stand.suite.digest)
    accepted.note(digests)
    (second,) = stand.run(stand.job("trial/good", revision, 2))
    assert second.details is not None, stand.log

    stand.queue.connection.delete(stand.queue.keys.accepted_digests(stand.suite.digest))
    accepted.note(other(stand, digests))
    third = stand.job("trial/good", revision, 3)
    stand.queue.enqueue(third)
    stand.queue.reaches(third, "taken")
    stand.queue.attempts.answer_claim(third.attempt, granted=True)
    (refused,) = wait_until(accepted.waiting)
    assert refused.fingerprint == digests.fingerprint
    assert any("nearer: other requests" in difference for difference in refused.differences)
