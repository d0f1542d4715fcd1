"""`steward export eee` writes files in the format of Every Eval Ever, which its own schemas accept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import redis
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from typer.testing import CliRunner

from bot.probe import Probe
from bot.results.every_eval_export import ExportReport, export
from leaderboard.details import table_path
from leaderboard.results import file_time, results_time
from steward.cli import app
from steward.testing.board import BOARD, BOT, WORKER
from tests.support.board.model_pages import MODEL, ModelPagesDriver, model_pages_board
from tests.support.units.details_samples import sample
from workers.publication.details import write_samples

SCHEMAS = Path(__file__).parents[2] / "support" / "every_eval"
TASK, SECRET = "starter_navigation", "starter_web_of_lies"


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[ModelPagesDriver]:
    """A board with one evaluated model, whose details have the answers of two tasks."""
    with model_pages_board(tmp_path / "hub", connection, probe) as driver:
        publish_answers(driver, tmp_path)
        yield driver


def publish_answers(stand: ModelPagesDriver, folder: Path) -> None:
    """Publish the worker's tables of answers for two tasks and delete all others; one answer has no score."""
    (scores,) = stand.context.scores.all()
    time = results_time(scores.results)
    assert time is not None
    lines = [sample(doc_id=1), sample(doc_id=2, acc_norm=0.0, target="1"), sample(doc_id=3, acc_norm="none")]
    (folder / "samples.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    write_samples(folder / "samples.jsonl", folder / "table.parquet", ["acc_norm,none"])
    data = (folder / "table.parquet").read_bytes()
    changes = [
        CommitOperationAdd(path, data) if task in (TASK, SECRET) else CommitOperationDelete(path)
        for task in stand.context.suite.tasks
        for path in [table_path(task, file_time(time))]
    ]
    name_commit(stand, change(stand, changes))


def name_commit(stand: ModelPagesDriver, commit: str) -> None:
    """Let the outcome of the attempt name `commit`, as if the worker had published that one."""
    hub, logs = stand.context.hub, stand.context.logs
    (path,) = (file.path for file in hub.list_files(logs) if file.path.endswith("/outcome.json"))
    outcome = json.loads(hub.read_file(logs, path).data)
    outcome["details"]["commit"] = commit
    add = CommitOperationAdd(path, json.dumps(outcome).encode())
    HfApi(stand.hub.url, token=BOT).create_commit(logs.id, [add], commit_message="Write", repo_type="dataset")


def change(stand: ModelPagesDriver, changes: list[CommitOperationAdd | CommitOperationDelete]) -> str:
    """Commit `changes` to the details repo as the worker, and return the commit."""
    repo, gpu = stand.context.board.repos.details(MODEL), HfApi(stand.hub.url, token=WORKER)
    return gpu.create_commit(repo, changes, commit_message="Change", repo_type="dataset").oid


def restrict(stand: ModelPagesDriver) -> None:
    """Restrict the benchmark of SECRET."""
    suite = stand.context.suite
    benchmarks = tuple(each.model_copy(update={"restricted": each.source == SECRET}) for each in suite.benchmarks)
    stand.context.suite = suite.model_copy(update={"benchmarks": benchmarks})


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder by its path."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def validator(name: str) -> Any:
    """The validator of a published schema."""
    return jsonschema_rs.validator_for(json.loads((SCHEMAS / name).read_text()))


def check(files: dict[str, bytes]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Validate the only record and its answers, and that they refer to each other; return both."""
    (path,) = [name for name in files if name.endswith(".json")]
    record = json.loads(files[path])
    validator("eval.schema.json").validate(record)
    answers = validator("instance_level_eval.schema.json")
    details = record.get("detailed_evaluation_results")
    if details is None:
        assert set(files) == {path}
        return record, []
    data = files[details["file_path"]]
    rows = [json.loads(line) for line in data.splitlines()]
    for row in rows:
        answers.validate(row)
    results = {result["evaluation_result_id"] for result in record["evaluation_results"]}
    assert details["file_path"] == path.removesuffix(".json") + "_samples.jsonl"
    assert (details["checksum"], details["total_rows"]) == (hashlib.sha256(data).hexdigest(), len(rows))
    assert {row["evaluation_id"] for row in rows} == {record["evaluation_id"]}
    assert {row["evaluation_result_id"] for row in rows} <= results
    return record, rows


@pytest.mark.long("a second of a processor")
def test_an_evaluation_is_a_valid_record_and_always_the_same(stand: ModelPagesDriver, tmp_path: Path) -> None:
    """The export writes the same valid record each time, with raw scores, the model's commit and its precision."""
    first, second = tmp_path / "first", tmp_path / "second"
    assert export(stand.context, first, with_samples=False) == ExportReport(evaluations=1)
    assert export(stand.context, second, with_samples=False) == ExportReport(evaluations=1)
    assert files_of(first) == files_of(second)
    (path,) = files_of(first)
    assert path.startswith("data/demo/ada/plain/") and len(Path(path).stem) == 36
    record, _ = check(files_of(first))
    assert (record["model_info"]["id"], record["model_info"]["developer"]) == (MODEL, "ada")
    assert record["source_metadata"]["evaluator_relationship"] == "third_party"
    assert record["source_metadata"]["source_type"] == "documentation"
    assert record["source_metadata"]["additional_details"]["results"].startswith(
        f"{stand.hub.url}/datasets/board/results/"
    )
    details = record["model_info"]["additional_details"]
    assert (details["precision"], details["revision"]) == ("float32", stand.ada.model_info(MODEL).sha)
    results = {result["evaluation_result_id"]: result for result in record["evaluation_results"]}
    assert set(results) == set(stand.context.suite.tasks)
    assert results[TASK]["score_details"] == {
        "score": 0.75,
        "details": {"benchmark": "Navigation", "normalised": "50.0"},
    }
    assert results[TASK]["source_data"]["hf_repo"] == "steward-suites/starter"


def test_answers_of_restricted_benchmarks_are_left_out(stand: ModelPagesDriver, tmp_path: Path) -> None:
    """The export with samples leaves out the answers of a restricted benchmark, and keeps its scores."""
    report = export(stand.context, tmp_path / "all", with_samples=True)
    assert (report.evaluations, report.samples) == (1, 4)
    restrict(stand)
    report = export(stand.context, tmp_path / "out", with_samples=True)
    assert (report.evaluations, report.samples) == (1, 2)
    record, rows = check(files_of(tmp_path / "out"))
    assert record["source_metadata"]["source_type"] == "evaluation_run"
    assert SECRET in {result["evaluation_result_id"] for result in record["evaluation_results"]}
    assert {row["evaluation_name"] for row in rows} == {TASK}
    assert [(row["sample_id"], row["evaluation"]) for row in rows] == [
        ("1", {"score": 1.0, "is_correct": True}),
        ("2", {"score": 0.0, "is_correct": False}),
    ]
    assert rows[0]["input"]["choices"] == [" Yes", " No"] and rows[0]["output"]["raw"] == [" Yes"]


@pytest.mark.long("a board with published answers for one more kind of them")
def test_answers_in_a_private_repo_are_left_out(stand: ModelPagesDriver, tmp_path: Path) -> None:
    """A private details repo gives a record without answers."""
    repo = stand.context.board.repos.details(MODEL)
    HfApi(stand.hub.url, token=WORKER).update_repo_settings(repo, private=True, repo_type="dataset")
    assert export(stand.context, tmp_path / "out", with_samples=True) == ExportReport(evaluations=1)
    check(files_of(tmp_path / "out"))


@pytest.mark.long("two seconds of a processor")
@pytest.mark.parametrize("table", [b"PAR1 no table PAR1", b""])
def test_an_unreadable_table_of_answers_is_left_out(stand: ModelPagesDriver, tmp_path: Path, table: bytes) -> None:
    """If a table of answers is not valid parquet, the export writes the record alone and reports what is left out."""
    (scores,) = stand.context.scores.all()
    time = results_time(scores.results)
    assert time is not None
    name_commit(stand, change(stand, [CommitOperationAdd(table_path(TASK, file_time(time)), table)]))
    report = export(stand.context, tmp_path / "out", with_samples=True)
    assert (report.evaluations, report.samples) == (1, 0)
    assert ["no table of answers" in why for why in report.left_out.values()] == [True]
    check(files_of(tmp_path / "out"))


def test_answers_are_those_that_the_bot_checked(stand: ModelPagesDriver, tmp_path: Path) -> None:
    """The export reads answers at the commit of the attempt's outcome, not on main; without it none are written."""
    export(stand.context, tmp_path / "before", with_samples=True)
    (scores,) = stand.context.scores.all()
    time = results_time(scores.results)
    assert time is not None
    change(stand, [CommitOperationDelete(table_path(TASK, file_time(time)))])
    export(stand.context, tmp_path / "after", with_samples=True)
    assert files_of(tmp_path / "after") == files_of(tmp_path / "before")
    name_commit(stand, "f" * 40)
    report = export(stand.context, tmp_path / "gone", with_samples=True)
    assert (report.evaluations, report.samples) == (1, 0)
    assert ["no commit" in why for why in report.left_out.values()] == [True]


@pytest.mark.long("a board with published answers for one more kind of them")
def test_a_flagged_model_is_left_out(stand: ModelPagesDriver, tmp_path: Path) -> None:
    """The export writes no file for a flagged model, and reports the reason."""
    stand.ask(f"/flag other {MODEL} it was trained on the test set", stand.form)
    stand.sync_flags()
    report = export(stand.context, tmp_path / "out", with_samples=False)
    assert (report.evaluations, set(report.left_out.values())) == (0, {"the model is flagged"})
    assert not (tmp_path / "out").exists()


@pytest.mark.long("a board with published answers for one more kind of them")
def test_the_command_writes_the_same_and_says_how_many(
    stand: ModelPagesDriver, tmp_path: Path, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`steward export eee --out DIR --samples` writes valid files and reports counts, with `--json` as JSON."""
    (tmp_path / "board.yaml").write_text(BOARD)
    settings = {"STEWARD_BOT_TOKEN": BOT, "HF_ENDPOINT": stand.hub.url, "REDIS_URL": valkey_url}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    words = ["export", "eee", "--out", str(tmp_path / "out"), "--board", str(tmp_path / "board.yaml"), "--samples"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "Wrote 1 evaluations and 4 answers" in result.output
    check(files_of(tmp_path / "out"))
    again = CliRunner().invoke(app, [*words, "--json"])
    assert json.loads(again.output.splitlines()[-1]) == {"evaluations": 1, "samples": 4, "left_out": {}}
