"""Output files of evaluators: accepted if they follow the contract, else refused with a reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from leaderboard.evaluator_contract import MAX_LINE_BYTES, question_digest
from leaderboard.evaluator_files import (
    EvaluatorProblem,
    TaskSamples,
    check_results,
    digest_parts,
    harness_results,
    parse_results,
    samples_of,
)
from leaderboard.result_digests import combine, rules_digest
from leaderboard.scores import score
from leaderboard.suites import BadSuite, Suite, parse_suite

MODEL, REVISION = "org/model", "a" * 40


def suite(**changes: Any) -> Suite:
    """A suite of two tasks, one with a metric that the evaluator reports."""
    evaluator = {"name": "pairs", "version": "1.0", "command": ["python", "-m", "pairs"], "reported": ["rank"]}
    fields: dict[str, Any] = {
        "name": "pairs",
        "title": "Pairs",
        "version": 1,
        "evaluator": evaluator,
        "datasets": [{"repo": "org/pairs"}],
        "benchmarks": [
            {"name": "Nearer", "source": "nearer", "tasks": [{"name": "nearer", "choices": 2}], "metrics": ["accuracy"],
             "shots": 0, "choices": 2},
            {"name": "Similar", "source": "similar", "tasks": [{"name": "similar"}], "metrics": ["rank"], "shots": 0},
        ],
        **changes,
    }  # fmt: skip
    return parse_suite(yaml.safe_dump(fields))


def line(id_: int, task: str = "nearer", **changes: Any) -> bytes:
    """Return one line of samples as JSON; the value `...` removes a field."""
    question = {"text": f"question {id_}"}
    metrics = {"accuracy": float(id_ % 4 != 0)} if task == "nearer" else {}
    fields = {
        "id": id_,
        "question_digest": question_digest(question),
        "question": question,
        "prompt": f"question {id_}",
        "output": "0.5",
        "metrics": metrics,
        **changes,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode() + b"\n"


def collected(of: Suite, **lines: list[bytes]) -> dict[str, TaskSamples]:
    """The samples of both tasks: eight each, unless `lines` gives others."""
    samples = samples_of(of)
    for task, collector in samples.items():
        for each in lines.get(task, [line(number, task) for number in range(8)]):
            collector.add(each)
    return samples


def results(**changes: Any) -> bytes:
    """results.json that agrees with `collected`."""
    fields = {
        "contract": 1,
        "evaluator": {"name": "pairs", "version": "1.0"},
        "model": MODEL,
        "revision": REVISION,
        "tasks": {
            "nearer": {"questions": 8, "metrics": {"accuracy": 0.75}},
            "similar": {"questions": 8, "metrics": {"rank": 0.5}},
        },
        "versions": {"numpy": "2.0", "sacrebleu": "2.5"},
        **changes,
    }
    return json.dumps({name: value for name, value in fields.items() if value is not ...}).encode()


def with_task(**changes: Any) -> bytes:
    """results.json with another entry of the first task."""
    tasks = json.loads(results())["tasks"]
    return results(tasks={**tasks, "nearer": {**tasks["nearer"], **changes}})


def check(data: bytes, samples: dict[str, TaskSamples] | None = None, of: Suite | None = None) -> None:
    """Check `data` as results.json beside `samples`."""
    used = of or suite()
    check_results(parse_results(data), used, samples or collected(used), model=MODEL, revision=REVISION)


def test_valid_files_are_scored_like_results_of_the_harness() -> None:
    """Valid files are scored by the suite's rules: means from the samples, reported metrics from results.json."""
    read = parse_results(results())
    check(results())
    entries = harness_results(read, suite(), collected(suite()))
    assert entries == {"nearer": {"accuracy": 0.75}, "similar": {"rank": 0.5}}
    assert score(entries, suite()).by_name == {"Nearer": 50.0, "Similar": 50.0}


BAD_LINES: dict[str, tuple[bytes, str]] = {
    "no JSON": (b"{\n", "JSON"),
    "no object": (b"[]\n", "object"),
    "a field that is missing": (line(0, output=...), "output: the field is missing"),
    "a field that is unknown": (line(0, score=1), "score: there is no such field"),
    "a text as number": (line(0, metrics={"accuracy": "1"}), "valid number"),
    "true as number": (line(0, metrics={"accuracy": True}), "valid number"),
    "NaN": (line(0, metrics={"accuracy": float("nan")}), "finite number"),
    "infinity": (line(0, metrics={"accuracy": 1, "other": float("inf")}), "finite number"),
    "a metric above 1": (line(0, metrics={"accuracy": 100}), "has 100 for accuracy"),
    "no metric": (line(0, metrics={}), "has no value for accuracy"),
    "another question": (line(0, question={"text": "other"}), "not the digest of question"),
    "a negative id": (line(-1), "id: "),
    "a fraction as id": (line(0, id=0.5), "id: "),
    "a huge id": (line(10**30), "id: "),
    "a digest that is none": (line(0, question_digest="x", question=...), "question_digest"),
    "a text that is no Unicode": (line(0, output="\ud800"), "line 1"),
    "an endless text": (line(0, prompt="x" * 200_001), "at most 200000"),
    "too many metrics": (line(0, metrics={f"m{n}": 0.0 for n in range(51)}), "at most 50"),
    "a name of a metric that is none": (line(0, metrics={"a/b": 0.0}), "pattern"),
    "an endless line": (b" " * MAX_LINE_BYTES, "bytes or more"),
    "deep nesting": (line(0).replace(b'{"text": "question 0"}', b"[" * 5_000 + b"]" * 5_000), "line 1"),
    "bytes that are no text": (b"\xff\xfe\n", "line 1"),
}


@pytest.mark.parametrize(("bad", "words"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_refused_with_its_place(bad: bytes, words: str) -> None:
    """An invalid line of samples raises a problem that names the file, the line and what is wrong."""
    with pytest.raises(EvaluatorProblem) as raised:
        samples_of(suite())["nearer"].add(bad)
    assert raised.value.kind == "invalid"
    assert "line 1 of samples/nearer.jsonl" in str(raised.value) and words in str(raised.value)


@pytest.mark.parametrize(("limit", "words"), [("MAX_SAMPLES", "than 5 lines"), ("MAX_SAMPLES_BYTES", "than 5 bytes")])
def test_files_of_samples_are_bounded(monkeypatch: pytest.MonkeyPatch, limit: str, words: str) -> None:
    """A file of samples with too many lines or bytes is refused."""
    monkeypatch.setattr(f"leaderboard.evaluator_files.{limit}", 5)
    with pytest.raises(EvaluatorProblem, match=f"has more {words}"):
        collected(suite())


def test_a_question_is_answered_once() -> None:
    """A file of samples in which a question's id occurs twice is refused, because the question would count twice."""
    with pytest.raises(EvaluatorProblem, match=r"line 2 of samples/nearer\.jsonl repeats the id 3"):
        collected(suite(), nearer=[line(3), line(3)])


BAD_RESULTS: dict[str, tuple[bytes, str, str]] = {
    "no JSON": (b"", "invalid", "JSON"),
    "another contract": (results(contract=2), "invalid", "contract"),
    "NaN": (with_task(metrics={"accuracy": float("nan")}), "invalid", "finite"),
    "a metric above 1": (with_task(metrics={"accuracy": 75.0}), "invalid", "has 75 for accuracy"),
    "no metric": (with_task(metrics={}), "invalid", "no value for accuracy"),
    "a metric that samples do not give": (
        with_task(metrics={"accuracy": 0.99}), "contradiction", "0.990000 for accuracy of nearer; its samples give"
    ),
    "other counts": (with_task(questions=80), "contradiction", "says 80 questions of nearer; its samples have 8"),
    "errors that samples do not have": (with_task(errors=1), "contradiction", "says 1 errors"),
    "another model": (results(model="org/better"), "other-run", "names org/better as the model"),
    "another revision": (results(revision="b" * 40), "other-run", "revision"),
    "another evaluator": (
        results(evaluator={"name": "pairs", "version": "2.0"}), "other-run", "pairs 2.0 as the evaluator; the plan"
    ),
    "another task": (
        results(tasks={**json.loads(results())["tasks"], "new": {"questions": 0, "metrics": {}}}), "other-run", "'new'"
    ),
    "a task too few": (results(tasks={"nearer": json.loads(results())["tasks"]["nearer"]}), "missing", "'similar'"),
    "a version without a name": (results(versions={"": "1"}), "invalid", "versions"),
    "megabytes": (b" " * (5 << 20), "invalid", "more than"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "kind", "words"), BAD_RESULTS.values(), ids=BAD_RESULTS)
def test_bad_results_are_refused(data: bytes, kind: str, words: str) -> None:
    """Bad results raise a problem with a kind, which decides the failure's cause, and a message for the author."""
    with pytest.raises(EvaluatorProblem) as raised:
        check(data)
    assert raised.value.kind == kind
    assert words in str(raised.value)


def test_more_questions_than_the_plans_limit_are_refused() -> None:
    """Results with more questions than the plan's limit, as for a canary or a trial, are refused."""
    read, samples = parse_results(results()), collected(suite())
    check_results(read, suite(), samples, model=MODEL, revision=REVISION, limit=8)
    with pytest.raises(EvaluatorProblem, match="has 8 questions; the plan's limit is 7") as raised:
        check_results(read, suite(), samples, model=MODEL, revision=REVISION, limit=7)
    assert raised.value.kind == "other-run"


def test_errors_count_up_to_the_suites_limit() -> None:
    """Samples that have an `error` in place of an answer are refused, unless the suite allows as many."""
    lines = [line(number, error="no answer" if number == 0 else "") for number in range(8)]
    with pytest.raises(EvaluatorProblem) as raised:
        check(with_task(errors=1), collected(suite(), nearer=lines))
    assert raised.value.kind == "errors"
    allowing = suite(evaluator={**suite().evaluator.model_dump(), "max_errors": 1})  # type: ignore[union-attr]
    check(with_task(errors=1), collected(allowing, nearer=lines), allowing)


def test_no_samples_are_no_results() -> None:
    """An empty file of samples is reported as such, not as a wrong number of questions."""
    with pytest.raises(EvaluatorProblem, match="has no lines") as raised:
        check(results(), collected(suite(), nearer=[]))
    assert raised.value.kind == "missing"


def test_withdrawn_questions_do_not_count() -> None:
    """The evaluator reports the mean of all; the score leaves out the questions that the suite withdraws."""
    plain = {**suite().evaluator.model_dump(), "reported": []}  # type: ignore[union-attr]
    erratum = {"task": "nearer", "question": 0, "reason": "It is wrong."}
    rank = [line(number, "similar", metrics={"rank": 0.5}) for number in range(8)]
    withdrawing = suite(evaluator=plain, errata=[erratum])
    samples = collected(withdrawing, similar=rank)
    check(results(), samples, withdrawing)
    entries = harness_results(parse_results(results()), withdrawing, samples)
    assert entries["nearer"]["accuracy"] == pytest.approx(6 / 7)


def test_a_benchmark_of_several_tasks_is_the_mean_of_its_questions() -> None:
    """A benchmark of several tasks has the mean over all their questions, so that larger tasks count more."""
    tasks = [{"name": "nearer"}, {"name": "similar"}]
    group = {"name": "All", "source": "all", "tasks": tasks, "metrics": ["accuracy"], "shots": 0}
    plain = {**suite().evaluator.model_dump(), "reported": []}  # type: ignore[union-attr]
    of = suite(benchmarks=[group], evaluator=plain)
    few = [line(number, metrics={"accuracy": 1}) for number in range(2)]
    samples = collected(of, similar=few)
    data = json.dumps({**json.loads(results()), "tasks": {
        "nearer": {"questions": 8, "metrics": {"accuracy": 0.75}},
        "similar": {"questions": 2, "metrics": {"accuracy": 1}},
    }}).encode()  # fmt: skip
    check(data, samples, of)
    assert harness_results(parse_results(data), of, samples)["all"]["accuracy"] == pytest.approx(8 / 10)


def test_digests_follow_from_samples_and_versions() -> None:
    """The digest `asked` depends on prompts and questions in any order, `scored` on options and scoring packages."""

    def digests(of: Suite | None = None, data: bytes = b"", **lines: list[bytes]) -> tuple[str, str]:
        used = of or suite()
        parts = digest_parts(parse_results(data or results()), used, collected(used, **lines), {"org/pairs": "c" * 40})
        combined = combine(parts, used)
        assert combined.is_consistent() and combined.rules == rules_digest(used)
        return combined.asked, combined.scored

    plain, other = digests(), suite(evaluator={**suite().evaluator.model_dump(), "options": {"pooling": "last"}})  # type: ignore[union-attr]
    assert digests(nearer=[line(number) for number in reversed(range(8))]) == plain
    assert digests(nearer=[line(number, output="other", metrics={"accuracy": 0}) for number in range(8)]) == plain
    prompts = digests(nearer=[line(number, prompt="Otherwise") for number in range(8)])
    fewer = digests(nearer=[line(number) for number in range(7)])
    assert len({plain[0], prompts[0], fewer[0]}) == 3 and prompts[1] == fewer[1] == plain[1]
    assert digests(other)[0] == plain[0] and digests(other)[1] != plain[1]
    assert digests(data=results(versions={"numpy": "2.1", "sacrebleu": "2.5"})) == plain, "only last digits can change"
    assert digests(data=results(versions={"numpy": "2.0", "sacrebleu": "2.6"}))[1] != plain[1]


def test_the_digest_of_a_suite_ignores_its_evaluators_command_and_needs() -> None:
    """A suite's digest depends on its evaluator's version and options, but not on the command or the needs."""
    fields = suite().evaluator.model_dump()  # type: ignore[union-attr]
    assert suite(evaluator={**fields, "command": ["/opt/venv/bin/python"]}).digest == suite().digest
    assert suite(evaluator={**fields, "needs": {"tokenizer": False}}).digest == suite().digest
    assert suite(evaluator={**fields, "version": "1.1"}).digest != suite().digest
    assert suite(evaluator={**fields, "options": {"k": 1}}).digest != suite().digest


BAD_SUITES: dict[str, tuple[dict[str, Any], str]] = {
    "tasks of lm-eval": ({"run": ["nearer"]}, "leave them out beside another evaluator"),
    "a filter": ({"evaluator": {"name": "x", "version": "1", "command": ["x"]}, "benchmarks": [
        {"name": "A", "source": "a", "tasks": [{"name": "a"}], "metrics": ["acc,none"], "shots": 0}
    ]}, "have no filter: acc"),
    "lm-eval with a command": (
        {"evaluator": {"name": "lm-eval", "version": "1", "command": ["x"]}}, "takes no command"
    ),
    "no run for lm-eval": ({"evaluator": "lm-eval"}, "name the tasks, or groups of tasks"),
    "a reported metric that no benchmark has": (
        {"evaluator": {"name": "x", "version": "1", "command": ["x"], "reported": ["nothing"]}}, "nothing"
    ),
    "errata beside a reported metric": (
        {"errata": [{"task": "nearer", "question": 0, "reason": "Wrong."}]}, "errata cannot be left out"
    ),
    "endless options": (
        {"evaluator": {"name": "x", "version": "1", "command": ["x"], "options": {"a": "b" * 30_000}}}, "20,000"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), BAD_SUITES.values(), ids=BAD_SUITES)
def test_a_suite_that_contradicts_its_evaluator_is_refused(changes: dict[str, Any], words: str) -> None:
    """A suite whose fields contradict its evaluator raises an error that says what is wrong."""
    with pytest.raises(BadSuite, match=words):
        suite(**changes)
