"""Comparability: whether the scores of two results can be compared, and how their differences are described."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from leaderboard.comparability import ComparisonGroups, compare_results
from leaderboard.engines import EngineUse
from leaderboard.result_digests import (
    AskedParts,
    DigestParts,
    ResultDigests,
    ScoredParts,
    TaskDigests,
    asked_digest,
    combine,
    rules_digest,
)
from leaderboard.suites import find_suite

SUITE = find_suite("open-llm-v2")
A, B = "a" * 64, "b" * 64


def task(**changes: Any) -> TaskDigests:
    """Return the digests of one task; `asked` and `scored` change the fields of these parts."""
    asked = {"requests": A, "documents": A, "questions": 3, "dataset": "ada/q@1", **changes.pop("asked", {})}
    scored = {
        "metrics": "0" * 16, "filters": "0" * 16, "targets": "0" * 16, "modules": ("maths", "shared"),
        "packages": ("sympy",), **changes.pop("scored", {}),
    }  # fmt: skip
    return TaskDigests(asked=AskedParts(**asked), scored=ScoredParts(**scored), prompts=A, **changes)


def digests(*, maths: str = "1" * 16, sympy: str = "1.12", softmax: str = "", **tasks: TaskDigests) -> ResultDigests:
    """The digests of a result with two tasks."""
    modules, versions = {"maths": maths, "shared": "2" * 16}, {"sympy": sympy}
    parts = DigestParts(
        tasks={"sums": task(), "words": task(), **tasks}, modules=modules, versions=versions, softmax_dtype=softmax
    )
    return combine(parts, SUITE)


@dataclass(frozen=True)
class Result:
    """A result with the fields that a comparison reads."""

    digests: ResultDigests | None = field(default_factory=digests)
    suite: str = "s"
    suite_digest: str = A
    use_chat_template: bool = False
    engine: EngineUse | None = None
    versions: dict[str, str] = field(default_factory=lambda: {"transformers": "5.0", "torch": "2.9"})
    precision: str = "float16"
    batch_size: int = 8


SHARED = EngineUse(engine="shared-prefix", version=2, compared=1, largest_difference=0.0)
MODULE = "the module maths differs, which scores sums, words"


@pytest.mark.parametrize(
    ("other", "verdict", "asked", "scored"),
    [
        (digests(), "comparable", (), ()),
        (digests(words=task(asked={"requests": B})), "other-questions", ("words: other requests",), ()),
        (
            digests(words=task(asked={"requests": B, "questions": 2, "shots": 5, "dataset": "ada/q@2"})),
            "other-questions",
            ("words: other requests (3 questions and 2 questions; 0 examples and 5 examples; ada/q@1 and ada/q@2)",),
            (),
        ),
        (
            digests(words=task(asked={"documents": B}), sums=task(asked={"documents": B})),
            "other-questions",
            ("sums, words: the same requests, but other right answers or other fields of the questions",),
            (),
        ),
        (digests(more=task()), "other-questions", ("only the second result has more",), None),
        (digests(maths="3" * 16), "other-scoring", (), (MODULE,)),
        (digests(sympy="1.13"), "other-scoring", (), ("versions of sympy differ: 1.12 and 1.13",)),
        (digests(sums=task(scored={"filters": "9" * 16})), "other-scoring", (), ("sums: other filters",)),
        (
            digests(sums=task(scored={"modules": ("maths",)})),
            "other-scoring",
            (),
            ("only the first result uses the module shared, which scores sums",),
        ),
        (digests(words=task(asked={"dataset": "ada/q@2"})), "comparable", (), ()),
    ],
    ids=["same", "prompt", "details", "documents", "task", "module", "version", "filter", "less", "commit"],
)
def test_two_results_differ_in_plain_words(
    other: ResultDigests, verdict: str, asked: tuple[str, ...], scored: tuple[str, ...] | None
) -> None:
    """The comparison describes each kind of difference in a sentence that names the task, module or package."""
    comparison = compare_results(Result(), Result(other))
    assert (comparison.verdict, comparison.asked) == (verdict, asked)
    assert scored is None or comparison.scored == scored


@pytest.mark.parametrize(
    ("one", "other", "verdict", "reason"),
    [
        (Result(None), Result(), "comparable", "one of the results says only of which suite it is"),
        (Result(None), Result(None), "comparable", "one of the results says only of which suite it is"),
        (
            Result(None, suite_digest=B),
            Result(),
            "other-questions",
            f"the suites differ: s {'b' * 12} and s {'a' * 12}",
        ),
        (Result(suite_digest=B), Result(), "comparable", ""),
    ],
)
def test_results_without_digests_compare_by_suite(one: Result, other: Result, verdict: str, reason: str) -> None:
    """If a result has no digests of its own, the digests of the suites decide whether the results are comparable."""
    comparison = compare_results(one, other)
    assert (comparison.verdict, comparison.asked) == (verdict, (reason,) if reason else ())


@pytest.mark.parametrize(
    ("changes", "differences"),
    [
        ({}, ()),
        ({"engine": SHARED}, ("engine: harness and shared-prefix 2",)),
        ({"precision": "bfloat16", "batch_size": 4}, ("precision: float16 and bfloat16", "batch size: 8 and 4")),
        ({"versions": {"transformers": "5.1"}}, ("transformers: 5.0 and 5.1",)),
        ({"digests": digests(softmax="float32")}, ("softmax dtype: the model's and float32",)),
    ],
)
def test_numerics_are_named_and_change_no_verdict(changes: dict[str, Any], differences: tuple[str, ...]) -> None:
    """Differences of engine, precision, batch size and versions are listed, and the results stay comparable."""
    comparison = compare_results(Result(), Result(**changes))
    assert (comparison.verdict, comparison.numerics) == ("comparable", differences)


def test_other_tokens_are_named_with_the_chat_template() -> None:
    """Results with other prompt tokens, as with a chat template, stay comparable and the difference is listed."""
    other = digests(words=task().model_copy(update={"prompts": B}))
    comparison = compare_results(Result(), Result(other, use_chat_template=True))
    assert comparison.verdict == "comparable"
    assert comparison.prompts == (
        "only the second result used the model's chat template",
        "words: the model got other tokens",
    )


def test_many_names_are_counted() -> None:
    """A sentence about many tasks names the first five and the number of the others."""
    changed = {f"task{n}": task(asked={"requests": B}) for n in range(8)}
    before = digests(**{name: task() for name in changed})
    assert compare_results(Result(before), Result(digests(**changed))).asked == (
        "task0, task1, task2, task3, task4 and 3 more: other requests",
    )


def test_digests_that_contradict_their_parts_are_noticed() -> None:
    """A check computes the digests again, and notices a changed digest or changed parts."""
    assert digests().is_consistent()
    assert not digests().model_copy(update={"asked": B}).is_consistent()
    assert not digests().model_copy(update={"modules": {}}).is_consistent()


def test_the_digest_of_rules_covers_only_the_rules_for_scores() -> None:
    """A suite's name, version, datasets, engine and clusters do not change the digest of its rules; its choices do."""
    (first, *others) = SUITE.benchmarks
    for changes in (
        {"name": "x", "version": 9, "datasets": SUITE.datasets[:1], "engine": "harness"},
        {"benchmarks": (first.model_copy(update={"cluster": "x"}), *others)},
    ):
        assert rules_digest(SUITE.model_copy(update=changes)) == rules_digest(SUITE)
    changed = SUITE.model_copy(update={"benchmarks": (first.model_copy(update={"choices": 7}), *others)})
    assert rules_digest(changed) != rules_digest(SUITE)


def test_the_order_of_tasks_changes_no_digest() -> None:
    """The digest of the questions and settings does not depend on the order of the tasks."""
    parts = digests()
    turned = parts.model_copy(update={"tasks": dict(reversed(parts.tasks.items()))})
    assert asked_digest(turned) == parts.asked


@pytest.mark.parametrize(
    ("results", "keys"),
    [
        ([], []),
        ([("s", ""), ("t", ""), ("", "")], ["s", "t", ""]),
        ([("s", "x"), ("t", "x")], ["x", "x"]),
        ([("s", ""), ("s", "x"), ("s", "x"), ("s", "y"), ("t", "")], ["x", "x", "x", "y", "t"]),
        ([("s", ""), ("s", "y"), ("s", "x")], ["x", "y", "x"]),
        ([("", ""), ("", "x")], ["", "x"]),
    ],
)
def test_results_group_by_what_was_asked(results: list[tuple[str, str]], keys: list[str]) -> None:
    """Results with the same digest form a group; results without a digest join their suite's largest group."""
    groups = ComparisonGroups(results)
    assert [groups.of(*result) for result in results] == keys


def test_the_largest_group_is_that_of_most_results() -> None:
    """The largest group counts results without a digest that join it, and no results of an unknown suite."""
    assert ComparisonGroups([("s", ""), ("s", "x"), ("t", "y"), ("", ""), ("", "")]).largest == "x"
    assert ComparisonGroups([("", "")]).largest == ""
