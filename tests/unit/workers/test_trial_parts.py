"""A trial on a worker: its division into parts, and what the worker reads from the files of each child."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leaderboard.suites import Suite, find_suite
from workers.errors import EvaluationFailed
from workers.jobs.trials import MAX_PARTS, TrialPart, read_part, report_of, trial_parts

STARTER, V2 = find_suite("starter"), find_suite("open-llm-v2")
PART = TrialPart("starter", STARTER.tasks, 4)


def leave(spool: Path, counts: Any, samples: dict[str, str], **seconds: Any) -> None:
    """Write results with these counts and seconds, and the first line of each file of samples, as a child does."""
    (spool / "samples").mkdir(exist_ok=True)
    results = {"results": {}, "n-samples": counts, "steward": {"seconds": seconds}}
    (spool / "results.json").write_text(json.dumps(results))
    for task, line in samples.items():
        (spool / "samples" / f"{task}.jsonl").write_text(line)


def counted(*numbers: tuple[int, int]) -> dict[str, dict[str, int]]:
    """Counts of the suite's first tasks: questions asked, and all questions."""
    pairs = zip(STARTER.tasks, numbers, strict=False)
    return {task: {"effective": asked, "original": whole} for task, (asked, whole) in pairs}


def test_each_benchmark_is_one_part_whose_questions_its_tasks_share() -> None:
    """A trial has one part for each benchmark, whose tasks share 32 questions, at least one for each task."""
    parts = trial_parts(V2, 32)
    assert [part.run for part in parts] == [(benchmark.source,) for benchmark in V2.benchmarks]
    assert {part.name: part.limit for part in parts} == {
        "IFEval": 32, "BBH": 1, "MATH Lvl 5": 4, "GPQA": 10, "MuSR": 10, "MMLU-PRO": 32,
    }  # fmt: skip


def test_a_suite_of_very_many_benchmarks_is_one_part() -> None:
    """A suite with more than `MAX_PARTS` benchmarks is one part, because each part loads the model again."""
    benchmark = STARTER.benchmarks[0]
    many = tuple(benchmark.model_copy(update={"source": f"t{n}"}) for n in range(MAX_PARTS + 1))
    suite: Suite = STARTER.model_copy(update={"benchmarks": many})
    (part,) = trial_parts(suite, 32)
    assert part.run == STARTER.run


def test_the_report_has_times_counts_and_texts_before_choices(tmp_path: Path) -> None:
    """The report has times, counts, and the answers to tasks' first questions: texts, then the most likely choices."""
    first, second = STARTER.tasks[:2]
    choice = json.dumps({"filtered_resps": [["-3.5", "False"], ["-1.0", "False"]], "doc": "a secret question"})
    leave(
        tmp_path,
        counted((4, 100), (4, 40)),
        {first: choice, second: json.dumps({"filtered_resps": ["seven\ud800"]})},
        load=2.0, prepare=1.0, evaluate=3.0,
    )  # fmt: skip
    report = report_of([read_part(PART, tmp_path, STARTER)])
    assert (report.load_seconds, report.tasks[0].asked, report.tasks[0].questions) == (2.0, 8, 140)
    assert report.tasks[0].seconds == 4.0
    assert [(answer.task, answer.text) for answer in report.answers] == [(second, "seven?"), (first, "choice 2 of 2")]


def test_no_answer_to_a_restricted_benchmark_is_shown(tmp_path: Path) -> None:
    """The worker reads no generated answers of a restricted benchmark, because they may quote its secret questions."""
    task = STARTER.tasks[0]
    leave(tmp_path, counted((4, 100)), {task: json.dumps({"filtered_resps": ["quoted"]})}, evaluate=1.0)
    assert read_part(PART, tmp_path, STARTER).generated
    benchmarks = tuple(benchmark.model_copy(update={"restricted": True}) for benchmark in STARTER.benchmarks)
    secret: Suite = STARTER.model_copy(update={"benchmarks": benchmarks})
    assert read_part(PART, tmp_path, secret).generated == ()


@pytest.mark.parametrize(
    "counts",
    [None, [], "x", {}, {"t": 1}, {"t": {"effective": 4}}, {"t": {"effective": "4", "original": 9}},
     {"t": {"effective": 0, "original": 9}}, {"t": {"effective": -1, "original": 9}},
     {"t": {"effective": 10**12, "original": 10**12}}],
)  # fmt: skip
def test_counts_that_make_no_sense_fail_the_trial(tmp_path: Path, counts: Any) -> None:
    """Missing, malformed or absurd counts in a child's results, which are untrusted, fail the trial."""
    leave(tmp_path, counts, {})
    with pytest.raises(EvaluationFailed):
        read_part(PART, tmp_path, STARTER)


@pytest.mark.parametrize(
    "line",
    ["", "x", "[]", "{}", '{"filtered_resps": []}', '{"filtered_resps": [[]]}', '{"filtered_resps": [["x"]]}',
     '{"filtered_resps": [[NaN, 1], 3]}', "[" * 100_000, '{"filtered_resps": 7}'],
)  # fmt: skip
def test_answers_that_make_no_sense_are_left_out(tmp_path: Path, line: str) -> None:
    """Malformed samples of a child are left out, and do not fail the trial."""
    leave(tmp_path, counted((4, 100)), {STARTER.tasks[0]: line}, evaluate=1.0)
    result = read_part(PART, tmp_path, STARTER)
    assert (result.generated, result.chosen) == ((), ())


def test_links_are_not_followed(tmp_path: Path) -> None:
    """The worker does not follow links among a child's files, because they could lead to another child's answers."""
    leave(tmp_path, counted((4, 100)), {}, evaluate=1.0)
    (tmp_path / "other.jsonl").write_text(json.dumps({"filtered_resps": ["stolen"]}))
    (tmp_path / "samples" / f"{STARTER.tasks[0]}.jsonl").symlink_to(tmp_path / "other.jsonl")
    assert read_part(PART, tmp_path, STARTER).generated == ()
    (tmp_path / "results.json").rename(tmp_path / "r.json")
    (tmp_path / "results.json").symlink_to(tmp_path / "r.json")
    with pytest.raises(EvaluationFailed):
        read_part(PART, tmp_path, STARTER)
