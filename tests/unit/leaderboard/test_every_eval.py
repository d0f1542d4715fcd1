"""Export to the format Every Eval Ever: records of results by other suites and programs, checked with its schema."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from leaderboard.evaluations import Evaluation, measure
from leaderboard.every_eval import ExportedEvaluation, ExportSource, read_evaluation, record, record_path, sample_record
from leaderboard.requests import Request, parse_request
from leaderboard.suites import find_suite
from tests.support.units.details_samples import STARTER, results

SCHEMA = Path(__file__).parents[2] / "support" / "every_eval" / "eval.schema.json"
SUITE = find_suite("open-llm-v2")
SOURCE = ExportSource("open-llm", "Open LLM", "open-llm", "https://hub/open-llm", "https://hub/results")
RESULTS = "org/lion/results_2024-06-12T10-00-00.123456.json"


def harness(**more: Any) -> dict[str, Any]:
    """What the harness alone writes: every task and group with the suite's metrics."""
    results: dict[str, Any] = {}
    for benchmark in SUITE.benchmarks:
        for name in (benchmark.source, *(task.name for task in benchmark.tasks)):
            results[name] = dict.fromkeys(benchmark.metrics, 0.5)
    return {"results": results, "config": {"model_dtype": "torch.bfloat16", "model_sha": "a" * 40}, **more}


def evaluation(data: bytes) -> Evaluation:
    """The evaluation of a request with these results."""
    name = "org/lion_eval_request_False_bfloat16_Original.json"
    fields = {"model": "org/lion", "status": "FINISHED", "precision": "bfloat16", "weight_type": "Original"}
    request = parse_request(name, json.dumps(fields).encode())
    measured = measure(RESULTS, data, SUITE)
    assert isinstance(request, Request) and measured is not None
    return Evaluation(request, measured)


def test_results_of_the_harness_alone_are_a_valid_record() -> None:
    """The record of the harness's results is valid, with a result for each task and each benchmark of several tasks."""
    dataset = SUITE.datasets[0].repo
    first = SUITE.benchmarks[0].tasks[0].name
    data = json.dumps(harness(lm_eval_version="0.4.2", configs={first: {"dataset_path": dataset}})).encode()
    exported = read_evaluation(evaluation(data), data, SUITE)
    assert exported is not None
    exported_record: Any = record(SOURCE, SUITE, exported, None)
    jsonschema_rs.validator_for(json.loads(SCHEMA.read_text())).validate(exported_record)
    results: Any = {result["evaluation_result_id"]: result for result in exported_record["evaluation_results"]}
    assert exported_record["eval_library"] == {"name": "lm_eval", "version": "0.4.2"}
    assert results[first]["source_data"]["hf_repo"] == dataset
    groups = {f"benchmark:{each.source}" for each in SUITE.benchmarks if len(each.tasks) > 1}
    assert groups and set(results) == {*SUITE.tasks, *groups}
    others = [result["source_data"]["source_type"] for key, result in results.items() if key != first]
    assert set(others) == {"other"}


def test_standard_errors_stand_beside_the_normalised_scores() -> None:
    """The record has the normalised standard error of each benchmark for which the results file has one."""
    measured = results()
    block = measured.block.model_copy(update={"errors": {"Navigation": 1.5}})
    data = json.dumps(harness()).encode()
    exported = ExportedEvaluation(evaluation(data), measured.scores, measured.data, block, 1.0)
    exported_record: Any = record(SOURCE, STARTER, exported, None)
    jsonschema_rs.validator_for(json.loads(SCHEMA.read_text())).validate(exported_record)
    details = {
        each["evaluation_result_id"]: each["score_details"]["details"] for each in exported_record["evaluation_results"]
    }
    assert details["starter_navigation"]["normalised_standard_error"] == "1.5"
    assert "normalised_standard_error" not in details["starter_web_of_lies"]


def test_a_note_about_the_results_is_in_the_record() -> None:
    """The record contains the note about the results, because its readers do not see the board's pages."""
    data = json.dumps(harness()).encode()
    plain = evaluation(data)
    doubted = replace(plain, measured=replace(plain.measured, note="These answers were not compared."))
    for source, note in ((plain, None), (doubted, "These answers were not compared.")):
        exported = read_evaluation(source, data, SUITE)
        assert exported is not None
        exported_record: Any = record(SOURCE, SUITE, exported, None)
        jsonschema_rs.validator_for(json.loads(SCHEMA.read_text())).validate(exported_record)
        assert exported_record["source_metadata"]["additional_details"].get("note") == note


def test_other_results_give_no_record() -> None:
    """Results of another suite give no record, and neither does a results file without a time in its name."""
    data = json.dumps(harness()).encode()
    dated = evaluation(data)
    assert read_evaluation(dated, b'{"results": {}}', SUITE) is None
    undated = replace(dated, measured=replace(dated.measured, path="org/lion/results_old.json"))
    assert read_evaluation(dated, data, SUITE) is not None
    assert read_evaluation(undated, data, SUITE) is None


@pytest.mark.parametrize(
    "model", ["data/lion", "org/con", "org/NUL.txt", "org/com1", "../../x/lion", "a/b/lion", "org/..", "org/", "/x/y"]
)
def test_models_without_a_portable_name_are_left_out(model: str) -> None:
    """A model whose name is not portable, or leads out of the export's folder, gets no path for a record."""
    assert record_path("demo", model, "x") is None
    assert record_path("demo", "org/lion", "x") != record_path("demo", "org/lion", "y")
    assert str(record_path("demo", "lion", "x")).startswith("data/demo/unknown/lion/")


def test_an_answer_as_text_and_one_that_was_cut() -> None:
    """A generated answer is exported as its filtered text, a cut one as empty; a sample without a score is left out."""
    row = {
        **{"doc_id": 4, "prompt": "Q", "target": "42", "filter": "strict", "metrics": "{}", "score": 0.5},
        "continuations": "[null]",
        "answers": '["42"]',
    }
    exported_sample: Any = sample_record("id", "org/lion", "task", row)
    assert exported_sample["output"] == {"raw": ["42"]} and "choices" not in exported_sample["input"]
    assert exported_sample["evaluation"] == {"score": 0.5, "is_correct": False}
    cut: Any = sample_record("id", "org/lion", "task", {**row, "answers": '["4 … [cut]', "continuations": "[nul"})
    assert cut["output"] == {"raw": [""]}
    for score in (None, float("nan"), float("inf"), "1"):
        assert sample_record("id", "org/lion", "task", {**row, "score": score}) is None
    deep: Any = sample_record("id", "org/lion", "task", {**row, "answers": "[" * 100_000})
    assert deep["output"] == {"raw": [""]}


@pytest.mark.parametrize(
    ("answers", "answer"),
    [
        ('[["-3.5", false], ["-1.25", true]]', " B"),
        ('[["nan", false], ["-1.25", true]]', " B"),
        ("[[NaN, false], [-2, true]]", " B"),
        (f"[[{'9' * 400}, false], [-2, true]]", " B"),
        ('[["-3.5", false], [null, true]]', " A"),
        ("[[-1.0, true]]", "[-1.0, true]"),
        (None, ""),
        (7, ""),
    ],
)
def test_no_table_of_a_worker_ends_the_export(answers: Any, answer: str) -> None:
    """An invalid log-likelihood is never the highest one, and a column without text gives an empty answer."""
    row = {
        **{"doc_id": 4, "prompt": "Q", "target": " B", "filter": "none", "metrics": "{}", "score": 1.0},
        "continuations": '[" A", " B"]',
        "answers": answers,
    }
    exported_sample: Any = sample_record("id", "org/lion", "task", row)
    assert exported_sample["output"] == {"raw": [answer]}
    without: Any = sample_record("id", "org/lion", "task", {**row, "continuations": None})
    assert "choices" not in without["input"]
