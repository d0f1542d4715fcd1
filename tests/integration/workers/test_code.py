"""The evaluator of code through a real worker, Hub and queue."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pyarrow.parquet as pq
import pytest

from leaderboard.details import table_path
from leaderboard.results import read_results
from tests.support.evaluators.code import PROBLEMS, REPO, SUITE, question_files
from tests.support.sizes import WHOLE
from tests.support.workers.real_worker import RealWorker, running_worker
from workers.models.tiny_model import model as tiny_model

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(not WHOLE, reason="a worker of its own, ten seconds of processor time: `make matrices` runs it"),
]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorker]:
    """A worker whose suite names the evaluator, and the problems on its Hub."""
    with running_worker(tmp_path_factory.mktemp("code"), SUITE) as stand:
        stand.upload(REPO, question_files(), kind="dataset")
        stand.start_worker()
        yield stand


def test_a_model_is_evaluated_by_its_code(stand: RealWorker) -> None:
    """The solutions of a random model run in the worker's sandbox, fail, and are shown with the problems."""
    (outcome,) = stand.run(stand.job("trial/good", stand.upload("trial/good", tiny_model())))
    assert outcome.details is not None, (outcome.failure, stand.log)
    results = read_results(stand.read(outcome, outcome.details.results_path), stand.suite)
    block = results.block
    assert block.evaluator is not None and (block.evaluator.name, block.evaluator.version) == ("code", "1")
    assert results.scores.by_name["Times"] == 0
    assert set(block.errors) == {"Times"}
    assert block.digests is not None and block.digests.tasks["times"].asked.questions == len(PROBLEMS)
    assert "python of solutions" in block.versions

    time = outcome.details.results_path.removeprefix("results_").removesuffix(".json")
    table = pq.read_table(io.BytesIO(stand.read(outcome, table_path("times", time)))).to_pylist()
    assert [json.loads(row["doc"]) for row in table] == PROBLEMS
    assert [row["prompt"] for row in table] == [problem["prompt"] for problem in PROBLEMS]
    for row in table:
        metrics = json.loads(row["metrics"])
        assert metrics.pop("pass_at_1") == 0 and sum(metrics.values()) == 2
