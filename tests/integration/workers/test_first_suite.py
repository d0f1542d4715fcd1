"""The suite `open-llm-v1` of the first leaderboard: a worker's child process computes the scores of `lm_eval`.

`make long` asks some of its tasks, and then all.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from leaderboard.scores import score
from leaderboard.suites import Suite, find_suite
from tests.support.models.suite_v1_datasets import MMLU
from tests.support.workers.child_runs import ChildRuns
from tests.support.workers.reference_scores import ReferenceScores

V1 = find_suite("open-llm-v1")
pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.long("test_leaderboard_suite and test_scores compare with `lm_eval`, too"),
]
Answers = list[tuple[int, Any]]
"""Number of the question, and the log-likelihoods or the text that the model answered with."""


@dataclass(frozen=True)
class Compared:
    """The results and answers of a tiny model, as a worker's child and as `lm_eval` wrote them."""

    suite: Suite
    ours: dict[str, Any]
    theirs: dict[str, Any]
    our_answers: dict[str, Answers]
    their_answers: dict[str, Answers]


@pytest.fixture(scope="module")
def compared(reference: ReferenceScores, runs: ChildRuns) -> Compared:
    """Read the results and answers of both."""
    ours: dict[str, Any] = json.loads((runs.first / "results.json").read_text())
    our_answers = {file.stem: answers(file) for file in (runs.first / "samples").iterdir()}
    folder = reference.of("first")
    their_answers = {task: answers(next(folder.glob(f"samples_{task}_*.jsonl"))) for task in reference.first.tasks}
    return Compared(reference.first, ours, reference.results("first"), our_answers, their_answers)


def answers(samples: Path) -> Answers:
    """Read the answers in a file of samples."""
    return sorted((line["doc_id"], line["resps"]) for line in map(json.loads, samples.read_text().splitlines()))


@pytest.fixture
def results(compared: Compared) -> dict[str, Any]:
    """The results file of the child."""
    return compared.ours


def test_all_scores_are_those_of_the_command(compared: Compared) -> None:
    """Scores and prompt hashes equal those of the `lm_eval` command digit for digit."""
    ours, theirs = compared.ours, compared.theirs
    assert ours["results"] == {task: scores for task, scores in theirs["results"].items() if task != "first"}
    assert ours["task_hashes"] == theirs["task_hashes"]
    assert set(ours["results"]) == set(compared.our_answers)


def test_all_answers_are_those_of_the_command(compared: Compared) -> None:
    """Each answer has the log-likelihoods or text that `lm_eval` computes, and no two tasks have the same answers."""
    assert compared.our_answers == compared.their_answers
    assert len({str(answers) for answers in compared.our_answers.values()}) == len(compared.our_answers)


def test_the_harness_runs_no_git(results: dict[str, Any]) -> None:
    """The results record no git hash, which would be that of Steward's own repository."""
    assert results["git_hash"] is None


def test_one_subject_is_at_its_real_shape(compared: Compared, runs: ChildRuns) -> None:
    """Each prompt of MMLU's virology has five examples before its question, and a realistic length."""
    if "MMLU" not in (benchmark.name for benchmark in compared.suite.benchmarks):
        pytest.skip("of some tasks only: all tasks have two subjects of MMLU")
    lines = (runs.first / "samples" / "mmlu_virology.jsonl").read_text().splitlines()
    prompts = [json.loads(line)["arguments"]["gen_args_0"]["arg_0"] for line in lines]
    assert [(prompt.count("\nD. "), len(prompt) > 1_500) for prompt in prompts] == [(6, True), (6, True)]


def test_each_benchmark_is_asked_with_its_shots(compared: Compared, results: dict[str, Any]) -> None:
    """The results record the suite's number of examples for each task, such as 25 for ARC."""
    expected = compared.suite.shots
    assert {task: results["n-shot"][task] for task in expected} == expected
    assert expected["arc_challenge"] == 25


def test_scores_are_the_raw_ones(compared: Compared, results: dict[str, Any]) -> None:
    """Scores are the raw ones times 100; MMLU is the unweighted mean of its subjects."""
    raw = results["results"]
    scores = score(raw, compared.suite)
    by_name = scores.by_name
    assert by_name["ARC"] == pytest.approx(100 * raw["arc_challenge"]["acc_norm,none"])
    assert by_name["GSM8K"] == pytest.approx(100 * raw["gsm8k"]["exact_match,strict-match"])
    if "MMLU" in by_name:
        assert by_name["MMLU"] == pytest.approx(100 * sum(raw[name]["acc,none"] for name in MMLU) / len(MMLU))
    assert scores.average == pytest.approx(sum(by_name.values()) / len(by_name))


def test_the_suite_names_all_subjects_of_the_harness() -> None:
    """The suite names every MMLU task that lm-eval ships, and a dataset config for each."""
    harness = find_spec("lm_eval")
    assert harness is not None
    shipped = Path(harness.origin or "").parent / "tasks/mmlu/default"
    names = {file.stem for file in shipped.glob("mmlu_*.yaml")}
    assert set(V1.benchmarks[2].tasks) and {task.name for task in V1.benchmarks[2].tasks} == names
    assert {f"mmlu_{config}" for config in V1.datasets[2].configs} == names
