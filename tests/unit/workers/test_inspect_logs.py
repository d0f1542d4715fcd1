"""The evaluator of inspect-ai's tasks: how it turns inspect-ai's logs into samples and results."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import anyio
import inspect_ai
import pytest
from inspect_ai import Epochs, Task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.log import EvalLog
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.scorer import Score, Scorer, exact, includes, mean, pass_at, scorer, stderr
from inspect_ai.solver import Solver, generate, solver, system_message

from leaderboard.evaluator_contract import EvaluatorSample, TaskReport
from workers.evaluators.inspect_tasks.answers import InspectedTask, task_answers
from workers.evaluators.inspect_tasks.settings import CannotEvaluate

QUESTIONS = [Sample(input=f"Say {letter}", target=letter, metadata={"kind": "vowel"}) for letter in "aei"]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let inspect-ai write below the test's folder."""
    monkeypatch.setenv("HOME", str(tmp_path))


def log_of(folder: Path, task: Task, *answers: str, **settings: Any) -> EvalLog:
    """Run `task` in inspect-ai with its mock model, which gives these answers, and return the log."""
    outputs = [ModelOutput.from_content("mockllm", answer) for answer in answers]
    for output in outputs:
        output.usage = ModelUsage()  # or it counts tokens, with a table from the network
    asked = get_model("mockllm/model", custom_outputs=outputs, memoize=False)
    settings = {"fail_on_error": False, "max_samples": 1, "log_realtime": False, **settings}
    (log,) = inspect_ai.eval(
        task, model=asked, log_dir=str(folder), display="none", acp_server=False, ctl_server=False, **settings
    )
    return log


def answers_of(folder: Path, task: Task, metrics: list[str], *answers: str, **settings: Any) -> InspectedTask:
    """The samples and report that the evaluator reads from such a log, checked against the evaluator contract."""
    withdrawn = settings.pop("withdrawn", ())
    read = task_answers("letters", metrics, log_of(folder, task, *answers, **settings), task.dataset, withdrawn)
    for sample in read.samples:
        EvaluatorSample.model_validate_json(json.dumps(sample, ensure_ascii=False))
    TaskReport.model_validate(read.report)
    return read


def values(read: InspectedTask, metric: str) -> list[float]:
    """The metric of each sample."""
    return [sample["metrics"][metric] for sample in read.samples]


@scorer(metrics={"length": [mean()], "unknown": [mean()]})
def lengths() -> Scorer:
    """A scorer with two values, of which one is NaN."""

    async def score(state: Any, target: Any) -> Score:  # inspect-ai's interface
        return Score(value={"length": len(state.output.completion) / 10, "unknown": math.nan})

    return score


@scorer(metrics=[mean()])
def not_a_number() -> Scorer:
    """A scorer whose value for the first question is NaN."""

    async def score(state: Any, target: Any) -> Score:  # inspect-ai's interface
        return Score(value=math.nan if state.input_text == "Say a" else 1)

    return score


@solver
def stumbling(*places: str) -> Solver:
    """A solver that raises an error for some questions."""

    async def solve(state: Any, generate: Any) -> Any:
        if state.input_text in places:
            raise RuntimeError(f"no answer to {state.input_text}")
        return await generate(state)

    return solve


def test_samples_and_report_follow_from_the_log(tmp_path: Path) -> None:
    """The evaluator reads prompts, answers, the metrics of two scorers and inspect-ai's aggregates from the log."""
    task = Task(MemoryDataset(QUESTIONS), solver=[system_message("Speak."), generate()], scorer=[includes(), exact()])
    read = answers_of(tmp_path, task, ["accuracy", "exact"], "a!", "e", "?")
    assert [sample["id"] for sample in read.samples] == [0, 1, 2]
    first = read.samples[0]
    assert first["prompt"] == "system: Speak.\nuser: Say a"
    assert (first["target"], first["output"], first["error"]) == ("a", "a!", "")
    assert first["question"] == {"input": "Say a", "target": "a", "kind": "vowel"}
    assert values(read, "accuracy") == [1, 1, 0] and values(read, "exact") == [0, 1, 0]
    report = read.report
    assert (report["questions"], report["errors"]) == (3, 0)
    assert report["metrics"]["accuracy"] == pytest.approx(2 / 3)
    assert report["metrics"]["exact"] == pytest.approx(1 / 3)
    assert report["metrics"]["stderr"] > 0


@pytest.mark.parametrize(("reducer", "value"), [(pass_at(2), 1.0), (None, 0.5)], ids=["pass_at_2", "mean"])
def test_epochs_are_one_question_with_the_reduced_score(tmp_path: Path, reducer: Any, value: float) -> None:
    """With several epochs, a question's sample has all answers, and the value that inspect-ai's reducer computes."""
    task = Task(MemoryDataset(QUESTIONS[:1]), scorer=includes(), epochs=Epochs(2, reducer))
    read = answers_of(tmp_path, task, ["accuracy"], "a", "x")
    assert values(read, "accuracy") == [value] and read.report["metrics"]["accuracy"] == value
    assert read.report["questions"] == 1
    assert read.samples[0]["output"] == "a\n\n--- again ---\n\nx"


def test_questions_that_fail_count_as_wrong(tmp_path: Path) -> None:
    """If the solver raises an error or the score is NaN, the sample has the error and the value 0."""
    task = Task(MemoryDataset(QUESTIONS), solver=stumbling("Say e"), scorer=not_a_number())
    read = answers_of(tmp_path, task, ["mean"], "a", "i")
    assert [sample["error"] for sample in read.samples] == [
        "its score is not a number", "RuntimeError('no answer to Say e')", "",
    ]  # fmt: skip
    assert values(read, "mean") == [0, 0, 1]
    assert read.report == {"questions": 3, "errors": 2, "metrics": {**read.report["metrics"], "mean": 1 / 3}}
    assert read.samples[1]["prompt"] == "Say e"


def test_a_task_whose_questions_all_fail_ends_the_evaluation(tmp_path: Path) -> None:
    """If every question fails, the evaluator ends with the first error."""
    task = Task(MemoryDataset(QUESTIONS), solver=stumbling(*(f"Say {x}" for x in "aei")), scorer=includes())
    with pytest.raises(CannotEvaluate, match="every question of task letters ended with an error: RuntimeError"):
        answers_of(tmp_path, task, ["accuracy"])


def test_a_score_of_several_numbers_gives_a_metric_each(tmp_path: Path) -> None:
    """If one of a score's values is NaN, the question has an error, here the only question."""
    task = Task(MemoryDataset(QUESTIONS[:1]), scorer=lengths())
    with pytest.raises(CannotEvaluate, match="its score is not a number"):
        answers_of(tmp_path, task, ["length"], "12345")


def test_a_metric_that_is_no_mean_is_inspects_own(tmp_path: Path) -> None:
    """A metric of all questions is in the report alone; with withdrawn questions it is refused, as unknown ones are."""
    task = Task(MemoryDataset(QUESTIONS), scorer=includes(), metrics=[mean(), stderr()])
    read = answers_of(tmp_path, task, ["stderr"], "a", "e", "?")
    assert read.report["metrics"]["stderr"] == pytest.approx(1 / 3)
    assert "stderr" not in read.samples[0]["metrics"]
    with pytest.raises(CannotEvaluate, match="task letters has no metric bleu; there are accuracy, includes, mean"):
        answers_of(tmp_path, task, ["bleu"], "a", "e", "?")
    with pytest.raises(CannotEvaluate, match="computes stderr of all questions of task letters, and the suite with"):
        answers_of(tmp_path, task, ["accuracy", "stderr"], "a", "e", "?", withdrawn=(1,))
    assert answers_of(tmp_path, task, ["accuracy"], "a", "e", "?", withdrawn=(1,)).report["questions"] == 3


def test_a_long_question_is_left_out(tmp_path: Path) -> None:
    """The sample of a very long question has no `question`, because a details table would cut its JSON."""
    task = Task(MemoryDataset([QUESTIONS[0], Sample(input="a" * 150_000, target="a")]), scorer=includes())
    short, long = answers_of(tmp_path, task, ["accuracy"], "a", "a").samples
    assert "question" in short and "question" not in long


def test_a_long_answer_is_cut(tmp_path: Path) -> None:
    """The evaluator cuts a long answer to 100,000 characters, and marks the cut."""
    task = Task(MemoryDataset(QUESTIONS[:1]), scorer=includes())
    (sample,) = answers_of(tmp_path, task, ["accuracy"], "a" + "é" * 300_000).samples
    assert len(sample["output"]) == 100_000 and sample["output"].endswith(" … [cut]")


@solver
def sleeping(place: str) -> Solver:
    """A solver that never answers one question."""

    async def solve(state: Any, generate: Any) -> Any:
        await anyio.sleep(3600 if state.input_text == place else 0)
        return await generate(state)

    return solve


def test_a_question_ends_at_its_limit_of_time(tmp_path: Path) -> None:
    """A question that reaches its time limit has an error; the others have answers."""
    task = Task(MemoryDataset(QUESTIONS[:2]), solver=sleeping("Say a"), scorer=includes())
    slow, good = answers_of(tmp_path, task, ["accuracy"], "e", time_limit=1).samples
    assert slow["error"] == "it reached its limit of 1 seconds" and slow["metrics"] == {"accuracy": 0.0}
    assert good["error"] == "" and good["metrics"]["accuracy"] == 1
