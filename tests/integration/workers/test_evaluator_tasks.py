"""An evaluator other than lm-eval, run by a real worker with a local Hub and a queue; its questions may change."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import pyarrow.parquet as pq
import pytest

from bot.core.context import BoardContext
from bot.evaluations.samples import compare_with_samples
from hub.client import Hub
from hub.records import Repo
from leaderboard.details import table_path
from leaderboard.result_digests import DigestParts, ResultDigests, combine
from leaderboard.results import read_results
from redis_state.accepted_digests import AcceptedDigests
from steward.testing.probe import shared_probe
from steward.testing.waiting import wait_until
from tests.support.evaluators.suites import QUESTIONS, REPO, question_files, suite_fields
from tests.support.workers.real_worker import RealWorker, running_worker
from workers.models.tiny_model import model as tiny_model

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorker]:
    """A worker whose suite uses the sample evaluator `pairs`; the questions are on its Hub."""
    with running_worker(tmp_path_factory.mktemp("pairs"), suite_fields()) as stand:
        stand.upload(REPO, question_files(), kind="dataset")
        stand.start_worker()
        yield stand


def test_an_evaluation_is_published_as_those_of_lm_eval_are(stand: RealWorker) -> None:
    """The worker publishes results, answers, digests and standard errors in files that the bot accepts."""
    (outcome,) = stand.run(stand.job("trial/one", stand.upload("trial/one", tiny_model())))
    assert outcome.details is not None, (outcome.failure, stand.log)
    results = read_results(stand.read(outcome, outcome.details.results_path), stand.suite)
    block, accuracy = results.block, results.data["results"]["nearer"]["accuracy"]
    assert block.evaluator is not None and (block.evaluator.name, block.evaluator.version) == ("pairs", "1.0")
    assert block.digests is not None and block.digests.tasks["nearer"].asked.questions == len(QUESTIONS)
    assert block.digests.tasks["nearer"].asked.dataset.startswith(f"{REPO}@")
    assert set(block.errors) == set(results.scores.by_name) == {"Nearer"}

    with Hub(stand.hub.url, "hf_worker") as hub:
        context = SimpleNamespace(suite=stand.suite, hub=hub, probe=shared_probe())
        repo = Repo("dataset", outcome.details.repo)
        checked = compare_with_samples(cast(BoardContext, context), "trial/one", repo, outcome.details, results)
    assert (checked.samples, checked.unchecked) == (len(QUESTIONS), ())

    time = outcome.details.results_path.removeprefix("results_").removesuffix(".json")
    table = pq.read_table(io.BytesIO(stand.read(outcome, table_path("nearer", time)))).to_pylist()
    assert [json.loads(row["doc"]) for row in table] == QUESTIONS
    assert sum(row["score"] for row in table) == pytest.approx(len(QUESTIONS) * accuracy)


def other(stand: RealWorker, digests: ResultDigests) -> ResultDigests:
    """Return `digests`, changed as if the prompts had been others."""
    parts = DigestParts.model_validate(digests.model_dump())
    task = parts.tasks["nearer"]
    asked = task.asked.model_copy(update={"requests": "0" * 64})
    changed = parts.model_copy(update={"tasks": {"nearer": task.model_copy(update={"asked": asked})}})
    return combine(changed, stand.suite)


@pytest.mark.long("three evaluations more; test_other_tasks is quick")
def test_other_questions_wait_for_an_operator(stand: RealWorker) -> None:
    """A worker publishes results of tasks that the board knows; if its prompts differ, it waits and reports how."""
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
