"""The evaluator of inspect-ai tasks, run in the worker's sandbox, and by a real worker with a local Hub and a queue."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from leaderboard.attempts import Outcome
from leaderboard.details import attachment_path, table_path
from leaderboard.evaluator_line import OUTPUT_FOLDER
from leaderboard.reproduction import reproduction_command
from leaderboard.results import dump, read_results
from leaderboard.suites import parse_suite
from tests.support.evaluators.inspect_tasks import CAPITALS, LETTERS, REPO, SUITE, question_files
from tests.support.workers.real_worker import RealWorker, running_worker
from workers.evaluators.inspect_tasks.settings import BETWEEN_EPOCHS
from workers.jobs.evaluator_check import check_evaluator
from workers.jobs.evaluator_trial import EvaluatorTrial
from workers.models.tiny_model import VOCABULARY, WIDTH, model, safetensors, tensors
from workers.rescoring.process import RescoringProcess

SECONDS = 150.0
pytestmark = pytest.mark.timeout(900)
whole = pytest.mark.long("some runs of ten seconds of processor time")


def written(folder: Path, files: dict[str, bytes]) -> Path:
    """A folder with these files, which the sandbox's user can read."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EvaluatorTrial]:
    """A sandbox for the evaluator, with the dataset's files."""
    questions = written(tmp_path_factory.mktemp("benchmark") / "files", question_files())
    with EvaluatorTrial.opened(
        parse_suite(yaml.safe_dump(SUITE)), tmp_path_factory.mktemp("trial"), {REPO: questions}
    ) as opened:
        yield opened


@whole
def test_a_model_whose_logits_are_not_numbers_is_refused(trial: EvaluatorTrial, tmp_path: Path) -> None:
    """If the model's logits are NaN, the evaluation fails with a message that says so."""
    weights = tensors()
    weights["lm_head.weight"] = ("F32", (VOCABULARY, WIDTH), b"\x00\x00\xc0\x7f" * VOCABULARY * WIDTH)
    folder = written(tmp_path / "model", {**model(), "model.safetensors": safetensors(weights)})
    run = trial.run(seconds=SECONDS, limit=1, model=folder)
    assert (run.cause, run.words) == ("evaluator-refused-model", "its logits are not numbers (NaN)"), run.log.text()


@whole
def test_the_evaluator_passes_every_check(trial: EvaluatorTrial) -> None:
    """`steward evaluator check` finds no fault of the inspect-ai evaluator."""
    findings = list(check_evaluator(trial, seconds=SECONDS, limit=None))
    assert not [finding for finding in findings if not finding.passed]


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealWorker]:
    """A worker whose suite uses the inspect-ai evaluator; the dataset is on its Hub."""
    with running_worker(tmp_path_factory.mktemp("inspect"), SUITE) as stand:
        stand.upload(REPO, question_files(), kind="dataset")
        stand.start_worker()
        yield stand


@whole
def test_a_model_is_evaluated_and_its_logs_are_published(stand: RealWorker) -> None:
    """The worker publishes results, answers, standard errors, and the logs that inspect-ai wrote."""
    (outcome,) = stand.run(stand.job("trial/good", stand.upload("trial/good", model())))
    assert outcome.details is not None, (outcome.failure, stand.log)
    results = read_results(stand.read(outcome, outcome.details.results_path), stand.suite)
    block, raw = results.block, results.data["results"]
    assert block.evaluator is not None and (block.evaluator.name, block.evaluator.version) == ("inspect-ai", "1")
    assert {"inspect_ai", "transformers", "torch"} <= set(block.versions)
    assert set(raw["letters"]) == {"includes", "exact"}
    assert block.digests is not None and block.digests.tasks["letters"].asked.questions == len(LETTERS)
    assert set(block.errors) == {"Capitals", "Letters"}

    import inspect_ai.log  # noqa: F401  it lets `zipfile` read zstandard, which compresses its logs

    time = outcome.details.results_path.removeprefix("results_").removesuffix(".json")
    table = pq.read_table(io.BytesIO(stand.read(outcome, table_path("capitals", time)))).to_pylist()
    assert [json.loads(row["doc"])["input"] for row in table] == [row["question"] for row in CAPITALS]
    assert all("A) " in row["prompt"] for row in table)
    letters = pq.read_table(io.BytesIO(stand.read(outcome, table_path("letters", time)))).to_pylist()
    for task, rows, epochs in (("capitals", table, 1), ("letters", letters, 2)):
        data = stand.read(outcome, attachment_path(outcome.attempt, f"{task}.eval"))
        with zipfile.ZipFile(io.BytesIO(data)) as log:
            header = json.loads(log.read("header.json"))
            logged = [json.loads(log.read(name)) for name in log.namelist() if name.startswith("samples/")]
        assert header["eval"]["model"] == "hf/trial/good" and len(logged) == len(rows) * epochs
        answers = {answer for row in rows for answer in json.loads(row["answers"])[0].split(BETWEEN_EPOCHS)}
        assert {sample["output"]["choices"][0]["message"]["content"] for sample in logged} == answers


@whole
def test_a_broken_model_ends_with_its_true_cause(stand: RealWorker) -> None:
    """An evaluation of truncated weights fails as the submission's fault, with a message that says what is wrong."""
    files = model()
    broken = {**files, "model.safetensors": files["model.safetensors"][:-100]}
    (failed,) = stand.run(stand.job("trial/cut", stand.upload("trial/cut", broken)))
    assert failed.failure is not None, stand.log
    assert (failed.failure.cause, failed.failure.fault) == ("evaluator-refused-model", "submission")
    assert "transformers cannot load it" in failed.failure.message


@pytest.fixture(scope="module")
def evaluated(stand: RealWorker) -> Outcome:
    """A published evaluation."""
    (outcome,) = stand.run(stand.job("trial/again", stand.upload("trial/again", model())))
    assert outcome.details is not None, (outcome.failure, stand.log)
    return outcome


@whole
def test_a_published_evaluation_is_verified_and_reproduced(stand: RealWorker, evaluated: Outcome) -> None:
    """`steward verify` gets the published answers again; so does `steward reproduce` for the first questions."""
    status, verified = stand.steward("verify", evaluated.attempt, "--model", "trial/again")
    assert (status, verified["equal"], verified["versions"]) == (0, True, {})
    status, report = stand.steward("reproduce", evaluated.attempt, "--model", "trial/again", "--questions", "2")
    assert (status, report["verdict"], report["samples"], report["reasons"]) == (0, "same", 4, [])


@whole
def test_the_line_pasted_into_a_shell_gives_the_same_scores(
    stand: RealWorker, evaluated: Outcome, tmp_path: Path
) -> None:
    """The published command line, pasted into a shell, downloads the benchmark and computes the worker's scores."""
    results = read_results(dump(stand.results(evaluated)), stand.suite)
    stand.paste(reproduction_command(results, stand.suite).line, tmp_path)
    repeated = json.loads((tmp_path / OUTPUT_FOLDER / "results.json").read_text())
    assert repeated["results"] == results.data["results"]


@whole
def test_published_answers_are_scored_again_without_the_model(
    stand: RealWorker, evaluated: Outcome, tmp_path: Path
) -> None:
    """Rescoring leaves out a withdrawn question, or uses another metric, from the stored metrics alone."""
    assert evaluated.details is not None
    time = evaluated.details.results_path.removeprefix("results_").removesuffix(".json")
    values = {}
    for task in stand.suite.tasks:
        (tmp_path / f"{task}.parquet").write_bytes(stand.read(evaluated, table_path(task, time)))
        rows = pq.read_table(tmp_path / f"{task}.parquet").to_pylist()
        values[task] = {row["doc_id"]: json.loads(row["metrics"]) for row in rows}
    newer = {**SUITE, "errata": [{"task": "capitals", "question": 0, "reason": "Wrong."}]}
    newer["benchmarks"] = [SUITE["benchmarks"][0], {**SUITE["benchmarks"][1], "metrics": ["mean"]}]
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_bytes(stand.read(evaluated, evaluated.details.results_path))
    with RescoringProcess(yaml.safe_dump(newer)) as process:
        process.rescore(old, tmp_path, new, source="results", at="now")
    rescored = read_results(new.read_bytes(), parse_suite(yaml.safe_dump(newer))).data["results"]
    counted = [value["accuracy"] for number, value in values["capitals"].items() if number]
    assert rescored["capitals"]["accuracy"] == pytest.approx(sum(counted) / len(counted))
    assert rescored["letters"]["mean"] == pytest.approx(
        sum(v["mean"] for v in values["letters"].values()) / len(LETTERS)
    )
