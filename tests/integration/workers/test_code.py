"""The evaluator of generated code, run by a real worker with a local Hub and a queue."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from leaderboard.attempts import Outcome
from leaderboard.details import table_path
from leaderboard.reproduction import reproduction_command
from leaderboard.results import read_results
from leaderboard.suites import parse_suite
from tests.support.evaluators.code import PROBLEMS, REPO, SUITE, question_files
from tests.support.workers.real_worker import RealWorker, running_worker
from workers.models.tiny_model import model as tiny_model
from workers.rescoring.process import RescoringProcess

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.long("a worker of its own, ten seconds of processor time"),
]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorker]:
    """A worker whose suite uses the code evaluator; the problems are on its Hub."""
    with running_worker(tmp_path_factory.mktemp("code"), SUITE) as stand:
        stand.upload(REPO, question_files(), kind="dataset")
        stand.start_worker()
        yield stand


@pytest.fixture(scope="module")
def evaluated(stand: RealWorker) -> Outcome:
    """One evaluation by the worker."""
    (outcome,) = stand.run(stand.job("trial/good", stand.upload("trial/good", tiny_model())))
    assert outcome.details is not None, (outcome.failure, stand.log)
    return outcome


def test_a_model_is_evaluated_by_its_code(stand: RealWorker, evaluated: Outcome) -> None:
    """The worker runs the solutions of a random model, all of which fail, and publishes them with the problems."""
    outcome = evaluated
    assert outcome.details is not None
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


def test_a_published_evaluation_is_verified_and_reproduced(stand: RealWorker, evaluated: Outcome) -> None:
    """`steward verify` gets the same solutions again; `steward reproduce` names another precision as a reason."""
    status, verified = stand.steward("verify", evaluated.attempt, "--model", "trial/good")
    assert (status, verified["equal"], verified["engines"]) == (0, True, ["code 1", "code 1"])
    assert verified["versions"] == {}
    status, report = stand.steward("reproduce", evaluated.attempt, "--model", "trial/good", "--questions", "2")
    assert (report["samples"], report["replayed"], report["counts"]["other-prompt"]) == (2, False, 0)
    status, report = stand.steward("reproduce", evaluated.attempt, "--model", "trial/good", "--precision", "bfloat16")
    assert report["samples"] == len(PROBLEMS)
    if report["verdict"] != "same":
        assert status == 1 and report["first"]["published"]["answers"] != report["first"]["here"]["answers"]
    assert "precision: float32 and bfloat16" in report["reasons"]


def test_the_line_pasted_into_a_shell_gives_the_same_scores(
    stand: RealWorker, evaluated: Outcome, tmp_path: Path
) -> None:
    """The published command line, pasted into a shell, runs the evaluator again and computes the worker's scores."""
    assert evaluated.details is not None
    results = read_results(stand.read(evaluated, evaluated.details.results_path), stand.suite)
    stand.paste(reproduction_command(results, stand.suite).line, tmp_path)
    again = json.loads((tmp_path / "steward-results" / "results.json").read_text())
    assert again["results"] == results.data["results"]
    assert results.block.digests is not None
    assert again["steward"]["digests"]["tasks"]["times"]["asked"]["documents"] == (
        results.block.digests.tasks["times"].asked.documents
    )
    assert len((tmp_path / "steward-results" / "samples" / "times.jsonl").read_text().splitlines()) == len(PROBLEMS)


def test_stored_solutions_run_under_the_tests_again(stand: RealWorker, evaluated: Outcome, tmp_path: Path) -> None:
    """Rescoring with a longer time limit and a withdrawn problem runs the stored solutions again, without the model."""
    assert evaluated.details is not None
    path = evaluated.details.results_path
    (tmp_path / "old.json").write_bytes(stand.read(evaluated, path))
    time = path.removeprefix("results_").removesuffix(".json")
    (tmp_path / "times.parquet").write_bytes(stand.read(evaluated, table_path("times", time)))
    (tmp_path / "new").mkdir()
    evaluator = {**SUITE["evaluator"], "options": {**SUITE["evaluator"]["options"], "seconds": 20}}
    errata = [{"task": "times", "question": 1, "reason": "Wrong."}]
    now = parse_suite(yaml.safe_dump({**SUITE, "evaluator": evaluator, "errata": errata}))
    with RescoringProcess(now.model_dump_json()) as process:
        outcome = process.rescore(
            tmp_path / "old.json", tmp_path, tmp_path / "new.json", source=path, at="now", new_tables=tmp_path / "new"
        )
    assert outcome.answers == 2
    block = read_results((tmp_path / "new.json").read_bytes(), now).block
    assert block.rescored_from is not None and "python of solutions" in block.rescored_from.versions
    before, after = (pq.read_table(folder / "times.parquet").to_pylist() for folder in (tmp_path, tmp_path / "new"))
    assert after == [before[0], before[2]]
