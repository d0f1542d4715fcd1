"""The evaluator of code: pass@k, what counts as an answer, the messages between its processes."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any

import numpy
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leaderboard.evaluator_contract import EvaluatorSample
from workers.evaluators.code import runner
from workers.evaluators.code.answers import answers_of, before_stops, code_sample, pass_at_k, program
from workers.evaluators.code.messages import INVALID, Channel, Ended, NotPlain, TooMuch, decode, encode
from workers.evaluators.code.runner import CodeProblem, SolutionVerdict, SuiteUnusable
from workers.evaluators.code.suite import read_options, read_task

NUMBERS = st.integers() | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False)
PLAIN: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text() | st.binary(),
    lambda parts: st.lists(parts) | st.lists(parts).map(tuple) | st.dictionaries(st.text() | st.integers(), parts),
    max_leaves=20,
)


@settings(max_examples=60)
@given(PLAIN)
def test_plain_data_crosses_unchanged(value: Any) -> None:
    """Plain data has the same values and types after it is encoded and decoded."""
    crossed = decode(json.loads(json.dumps(encode(value))))
    assert crossed == value
    assert repr(crossed) == repr(value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda parts: (
            st.lists(parts)
            | st.dictionaries(
                st.sampled_from(["int", "tuple", "dict", "set", "bytes", "range", "complex", "call"]), parts
            )
        ),
    )
)
def test_what_a_solution_sends_is_data_or_refused(message: Any) -> None:
    """The decoder turns a JSON value into builtin data, or refuses it."""
    try:
        value = decode(message)
    except INVALID:
        return
    assert type(value).__module__ == "builtins"
    assert not callable(value)


class Hostile(list[int]):
    """A list subclass that says it equals everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def test_only_plain_data_can_be_encoded() -> None:
    """The encoder refuses objects, functions, and endless or deep data, and turns a list subclass into a plain list."""
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    for value in (object(), len, Hostile):
        with pytest.raises(NotPlain):
            encode(value)
    for endless in (deep, itertools.repeat(0)):
        with pytest.raises(TooMuch):
            encode(endless)
    assert encode([numpy.float32(1.5), numpy.int64(3), numpy.bool_(True)]) == [1.5, 3, True]
    crossed = decode(json.loads(json.dumps(encode(Hostile([1])))))
    assert type(crossed) is list and crossed != [2]


@pytest.fixture
def connection() -> Iterator[SimpleNamespace]:
    """A channel, and the end of its pipe that a hostile solution writes to."""
    reading, writing = os.pipe()
    yield SimpleNamespace(channel=Channel(reading, writing), write=lambda data: os.write(writing, data), end=writing)
    os.close(reading)


NOISE = {"no JSON": b"passed\n", "no object": b"[]\n", "too deep": b"[" * 50_000 + b"\n", "no text": b"\xff\xfe\n"}


@pytest.mark.parametrize("data", NOISE.values(), ids=NOISE)
def test_a_malformed_message_is_refused(connection: SimpleNamespace, data: bytes) -> None:
    """The channel refuses malformed data, and raises `Ended` when the other end is closed."""
    connection.write(data)
    with pytest.raises(INVALID):
        connection.channel.receive()
    os.close(connection.end)
    with pytest.raises(Ended):
        connection.channel.receive()


def test_pass_at_k_is_the_share_of_choices_that_pass() -> None:
    """`pass_at_k` equals the share of all choices of k answers in which at least one answer passes."""
    for samples in range(1, 7):
        for passed, k in itertools.product(range(samples + 1), range(1, samples + 1)):
            answers = [True] * passed + [False] * (samples - passed)
            share = fmean(any(choice) for choice in itertools.combinations(answers, k))
            assert pass_at_k(samples, passed, k) == pytest.approx(share)


def test_a_sample_says_how_its_answers_ended() -> None:
    """A sample has all answers, and counts by outcome beside the metrics; an output that is too long is shortened."""
    question = {"prompt": "def one():", "entry_point": "one", "test": "", "canonical_solution": " return 1"}
    verdicts = [SolutionVerdict("passed"), SolutionVerdict("time"), SolutionVerdict("time"), SolutionVerdict("wrong")]
    sample = code_sample(3, question, ["a", "b", "c" * 300_000, "d"], verdicts, [1, 2])
    assert sample["metrics"] == {"pass_at_1": 0.25, "pass_at_2": 0.5, "passed": 1, "time": 2, "wrong": 1}
    assert (sample["id"], sample["target"], sample["question"]) == (3, " return 1", question)
    assert sample["output"].startswith("a\n# ---- next answer\nb\n") and len(sample["output"]) <= 200_000
    EvaluatorSample.model_validate(sample)


def test_an_answer_ends_before_the_first_stop_sequence() -> None:
    """The order of the stop sequences does not matter."""
    assert before_stops("    return 1\nprint(2)\ndef f", ("\ndef", "\nprint")) == "    return 1"
    assert before_stops("    return 1", ("\ndef",)) == "    return 1"
    assert before_stops("    return 1\ndef f", ()) == "    return 1\ndef f"


CHAT = {
    "the whole function": "Here it is:\n```python\ndef one():\n    return 1\n```\nIt returns 1.",
    "a block without an end": "```python\ndef one():\n    return 1",
    "no block": "def one():\n    return 1\n",
    "the body alone": "```\n    return 1\n```",
}


@pytest.mark.parametrize("answer", CHAT.values(), ids=CHAT)
def test_an_answer_in_a_chat_is_a_program(answer: str) -> None:
    """The program made of the prompt and the first code block of a chat answer runs and defines the function."""
    problem = CodeProblem("One", 'BASE = 1\ndef one():\n    """Return one."""\n', "one", "")
    module: dict[str, Any] = {}
    exec(program(problem, answer, chat=True), module)  # noqa: S102  # a test's own text
    assert module["one"]() == module["BASE"] == 1


PROBLEM = {"task_id": "One/0", "prompt": "def one():", "entry_point": "one", "test": "def check(candidate): ..."}


def plan_for(folder: Path, options: dict[str, Any], *metrics: str) -> dict[str, Any]:
    """The parts of plan.json that the evaluator reads before it loads the model."""
    tasks = [{"name": "ones", "metrics": list(metrics or ["pass_at_1"])}]
    return {"questions": [{"folder": str(folder)}], "tasks": tasks, "limit": None, "options": options}


def test_problems_are_read_from_lines_and_tables(tmp_path: Path) -> None:
    """The evaluator reads problems from JSON lines and from parquet, even with the line separator U+2028 in a text."""
    problem = {**PROBLEM, "prompt": "def one():  # a\u2028b"}
    (tmp_path / "ones.jsonl").write_text(json.dumps(problem, ensure_ascii=False) + "\n\n", "utf-8")
    pq.write_table(pa.Table.from_pylist([problem]), tmp_path / "table.parquet")
    for options in ({"samples": 10}, {"samples": 10, "files": {"ones": "table.parquet"}}):
        plan = plan_for(tmp_path, options, "pass_at_1", "pass_at_10")
        task = read_task(plan, read_options(plan), 0)
        assert (task.name, task.ranks, task.questions) == ("ones", [1, 10], [problem])
        assert task.problems == [CodeProblem("One/0", problem["prompt"], "one", problem["test"])]


UNUSABLE: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "an unknown option": ({"sample": 2}, "pass_at_1", "", "the suite's option sample is invalid"),
    "no samples": ({"samples": 0}, "pass_at_1", "", "the suite's option samples is invalid"),
    "another metric": ({}, "accuracy", "", "the metric accuracy is not pass_at_k, with k from 1 to the 1 samples"),
    "more than there are samples": ({}, "pass_at_2", "", "the metric pass_at_2 is not pass_at_k"),
    "no file": ({"files": {"ones": "twos.jsonl"}}, "pass_at_1", "", "the dataset has no file twos.jsonl"),
    "no problems": ({}, "pass_at_1", "\n", "has no problems"),
    "no JSON": ({}, "pass_at_1", "{", "cannot be read"),
    "no tests": ({}, "pass_at_1", '{"prompt": "", "entry_point": "x"}', "the problem 0 lacks .* 'test'"),
    "no object": ({}, "pass_at_1", "[]", "the problem 0 lacks"),
    "numbers": ({}, "pass_at_1", '{"prompt": 1, "entry_point": "x", "test": ""}', "of the problem 0 must be texts"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_suite_is_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    """The evaluator refuses a suite with invalid options, metrics or problems, and says why."""
    options, metric, text, words = UNUSABLE[name]
    (tmp_path / "ones.jsonl").write_text(text or json.dumps(PROBLEM))
    plan = plan_for(tmp_path, options, metric)
    with pytest.raises(SuiteUnusable, match=words):
        read_task(plan, read_options(plan), 0)


def test_answers_come_whole_out_of_a_stored_output() -> None:
    """A stored output is split into its answers, or into `None` if it was cut or has another number of answers."""
    question = {"task_id": "a", "prompt": "def f():\n"}
    verdicts = [SolutionVerdict("passed")] * 2

    def output(*answers: str) -> str:
        return str(code_sample(0, question, answers, verdicts, [1])["output"])

    assert answers_of(output("    return 1\n", ""), 2) == ["    return 1\n", ""]
    assert answers_of(output("    return 1\n", ""), 3) is None
    assert answers_of(output("a", "b\n# ---- next answer\nc"), 2) is None
    assert answers_of(output("a", "x" * 150_000), 2) is None


def test_a_chat_template_that_fails_is_the_models_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the chat template fails, the evaluator reports the model's fault with the template's error message."""
    from workers.evaluators.code.generation import CodeModel  # imports torch

    def fails(*_: Any, **__: Any) -> str:
        raise ZeroDivisionError("division by zero\nin a template")

    model = object.__new__(CodeModel)
    model._chat, model._tokenizer = True, SimpleNamespace(apply_chat_template=fails)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        model._text(CodeProblem("p", "def f():\n", "f", ""))
    failure = json.loads((tmp_path / "failure.json").read_text())
    assert (failure["fault"], failure["message"]) == ("model", "its chat template fails: division by zero")


@pytest.mark.parametrize(
    ("uses", "waits"),
    [
        ([(True, 3.0), (True, 9.0)], [10.0, 7.0, 1.0]),
        ([(True, 10.0)], [10.0]),
        ([(False, 3.0)], [10.0]),
    ],
    ids=["on a busy machine", "endless", "asleep"],
)
def test_a_solution_has_its_seconds_of_the_processor(
    uses: list[tuple[bool, float]], waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit counts processor seconds, for the sake of busy machines; an endless or sleeping solution times out."""
    measured = iter([(True, 0.0), *uses])
    monkeypatch.setattr(runner, "_processor_use", lambda _: next(measured))
    given: list[float] = []

    def next_line(seconds: float) -> dict[str, Any]:
        given.append(seconds)
        if len(given) <= len(uses):
            raise TimeoutError
        return {"outcome": "passed"}

    if len(waits) > len(uses):
        assert runner._verdict_in_time(next_line, [1], 10.0) == {"outcome": "passed"}
    else:
        with pytest.raises(TimeoutError):
            runner._verdict_in_time(next_line, [1], 10.0)
    assert given == pytest.approx(waits, abs=0.01)


def test_the_processor_time_of_a_process_is_read() -> None:
    """The runner reads that this test's own process is running and has used processor time."""
    wants_to_run, seconds = runner._processor_use(os.getpid())
    assert wants_to_run and seconds > 0
