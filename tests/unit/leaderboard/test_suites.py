"""Suite files: parsing, validation, digests and errata."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from leaderboard.scores import problems
from leaderboard.suite_questions import content_digest, pin_datasets
from leaderboard.suites import BadSuite, Suite, find_suite, parse_suite, shipped

MINIMAL: dict[str, Any] = {
    "name": "small",
    "title": "Small",
    "version": 1,
    "run": ["small_task"],
    "datasets": [{"repo": "org/questions"}],
    "benchmarks": [
        {
            "name": "Small",
            "source": "small_task",
            "tasks": [{"name": "small_task"}],
            "metrics": ["acc,none"],
            "shots": 0,
        }
    ],
}


def suite(**changes: object) -> Suite:
    """The minimal suite with some fields changed."""
    return parse_suite(yaml.safe_dump({**MINIMAL, **changes}))


def test_both_suites_ship() -> None:
    """The leaderboard's suite and one that works offline ship with Steward."""
    assert {"open-llm-v2", "starter"} <= set(shipped())


def test_the_leaderboards_second_suite_has_its_six_benchmarks_with_their_shots() -> None:
    """The second suite has the benchmarks, shots, metrics and subtasks that the Open LLM Leaderboard documents."""
    benchmarks = {benchmark.name: benchmark for benchmark in find_suite("open-llm-v2").benchmarks}
    assert {name: b.shots for name, b in benchmarks.items()} == {
        "IFEval": 0, "BBH": 3, "MATH Lvl 5": 4, "GPQA": 0, "MuSR": 0, "MMLU-PRO": 5
    }  # fmt: skip
    assert {name: len(b.tasks) for name, b in benchmarks.items()} == {
        "IFEval": 1, "BBH": 24, "MATH Lvl 5": 7, "GPQA": 3, "MuSR": 3, "MMLU-PRO": 1
    }  # fmt: skip
    assert benchmarks["IFEval"].metrics == ("prompt_level_strict_acc,none", "inst_level_strict_acc,none")
    assert [task.choices for task in benchmarks["MuSR"].tasks] == [2, 5, 3]
    assert next(t for t in benchmarks["BBH"].tasks if t.name.endswith("object_counting")).lower_bound == 1 / 19


def test_only_suites_with_a_restricted_benchmark_are_restricted() -> None:
    """GPQA's authors ask not to publish its questions, so its suite is restricted; the starter suite is not."""
    assert find_suite("open-llm-v2").restricted
    assert not find_suite("starter").restricted


def test_the_digest_follows_from_content_alone() -> None:
    """The order of fields in the file does not change the digest; another value does."""
    turned = parse_suite(yaml.safe_dump(dict(reversed(MINIMAL.items())), sort_keys=False))
    assert turned.digest == suite().digest
    assert suite(version=2).digest != suite().digest
    assert len(suite().digest) == 64


def test_the_engine_does_not_change_the_digest() -> None:
    """The engine does not count for the digest, and shipped suites keep the digests that running boards recorded."""
    assert suite(engine="harness").digest == suite(engine="shared-prefix").digest == suite().digest
    assert {name: find_suite(name).digest[:12] for name in shipped()} == {
        "open-llm-v1": "0327a3c72aeb", "open-llm-v2": "4b75c12683e1", "starter": "ad2a01c6c121"
    }  # fmt: skip


def test_a_broken_file_names_every_field_that_is_wrong() -> None:
    """One error names all invalid fields of a suite file."""
    with pytest.raises(BadSuite, match=r"version.*benchmarks\.0\.shots"):
        suite(version="two", benchmarks=[{**MINIMAL["benchmarks"][0], "shots": -1}])


def test_a_suite_of_ones_own_defines_every_task() -> None:
    """A benchmark whose task has no definition is refused."""
    other = {"task": "another", "config": "x", "output": "generate_until"}
    with pytest.raises(BadSuite, match="small_task"):
        suite(definitions=[other])


def test_choices_belong_to_multiple_choice() -> None:
    """A multiple-choice task without choices, and a generative one with choices, are refused."""
    for output, choices in (("multiple_choice", []), ("generate_until", ["A", "B"])):
        with pytest.raises(BadSuite, match="choices"):
            suite(definitions=[{"task": "small_task", "config": "x", "output": output, "choices": choices}])


def test_guessing_needs_two_choices() -> None:
    """A benchmark's score is scaled from the score of guessing among two choices or more."""
    (benchmark,) = MINIMAL["benchmarks"]
    assert suite(benchmarks=[{**benchmark, "choices": 2}]).benchmarks[0].lower_bound == 0.5
    with pytest.raises(BadSuite, match="choices"):
        suite(benchmarks=[{**benchmark, "choices": 1}])


def test_two_benchmarks_of_one_name_are_refused() -> None:
    """A suite with two benchmarks of the same name is refused, because scores are stored by name."""
    (benchmark,) = MINIMAL["benchmarks"]
    with pytest.raises(BadSuite, match="two benchmarks have the same name: Small"):
        suite(benchmarks=[benchmark, {**benchmark, "shots": 5}])


def test_a_task_has_the_same_metrics_in_each_of_its_benchmarks() -> None:
    """Benchmarks that share a task must have the same metrics and shots, because the task's samples are scored once."""
    (benchmark,) = MINIMAL["benchmarks"]
    second = {**benchmark, "name": "Normalised"}
    assert len(suite(benchmarks=[benchmark, second]).benchmarks) == 2
    for change in ({"metrics": ["acc_norm,none"]}, {"metrics": ["acc,none", "acc_norm,none"]}, {"shots": 5}):
        with pytest.raises(BadSuite, match="Small and Normalised give the task small_task other metrics"):
            suite(benchmarks=[benchmark, {**second, **change}])


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    """The error for an unknown suite lists the known ones."""
    with pytest.raises(BadSuite, match="open-llm-v2, starter"):
        find_suite("open-llm-v3")


def test_a_content_digest_sees_names_and_bytes_in_any_order() -> None:
    """Equal files have equal digests; another byte or another name changes the digest."""
    files = {"data/a": b"1", "data/b": b"2"}
    assert content_digest(files) == content_digest(dict(reversed(files.items())))
    assert content_digest(files) != content_digest({"data/a": b"2", "data/b": b"1"})
    assert content_digest(files) != content_digest({"data/a": b"1", "data/c": b"2"})


# --- errata


def erratum(question: int = 3, task: str = "small_task", reason: str = "two answers are right") -> dict[str, Any]:
    """Return an erratum: a question that does not count."""
    return {"task": task, "question": question, "reason": reason}


def test_errata_are_part_of_the_digest_without_their_reasons() -> None:
    """A suite without errata has its earlier digest; each list of questions has its own, in any order and wording."""
    plain = suite()
    with_erratum, with_errata = suite(errata=[erratum(3)]), suite(errata=[erratum(3), erratum(5)])
    assert suite(errata=[]).digest == plain.digest
    assert len({plain.digest, with_erratum.digest, with_errata.digest}) == 3
    assert suite(errata=[erratum(5, reason="Other words."), erratum(3)]).digest == with_errata.digest


def test_digests_of_shipped_suites_stay() -> None:
    """The starter suite keeps its digest, which results of running boards contain."""
    assert find_suite("starter").digest.startswith("ad2a01c6c121f08d")


def test_the_questions_of_a_task_that_do_not_count() -> None:
    """The withdrawn questions of a task are those that the errata name for it."""
    withdrawn = suite(errata=[erratum(3), erratum(5)])
    assert withdrawn.withdrawn("small_task") == {3, 5}
    assert withdrawn.withdrawn("another") == frozenset()


@pytest.mark.parametrize(
    ("errata", "words"),
    [
        ([erratum(task="other")], "errata of tasks that the suite does not have: other"),
        ([erratum(3), erratum(3)], "the errata name question 3 of small_task twice"),
        ([erratum(reason="")], "reason"),
        ([erratum(-1)], "question"),
    ],
)
def test_wrong_errata_are_refused(errata: list[dict[str, Any]], words: str) -> None:
    """Errata are refused with an unknown task, a repeated question, an empty reason or a negative number."""
    with pytest.raises(BadSuite, match=words):
        suite(errata=errata)


OLD, NEW = "1" * 40, "2" * 40
PINS = {
    "- {repo: org/questions}": f'- {{revision: "{NEW}", repo: org/questions}}',
    "- repo: org/questions  # a\n    content: x": f'- revision: "{NEW}"\n    repo: org/questions  # a\n    content: x',
    f"- {{repo: org/questions, revision: '{OLD}'}}": f'- {{repo: org/questions, revision: "{NEW}"}}',
    "- {repo: org/other}": "- {repo: org/other}",
}
"""A dataset in a suite file → the same with its commit."""


@pytest.mark.parametrize(("before", "after"), PINS.items())
def test_a_commit_is_written_beside_its_dataset(before: str, after: str) -> None:
    """Pinning changes the revision alone, in each way of writing a dataset, and leaves other datasets as they are."""
    text = "# A suite\nname: small\ndatasets:\n  {}\n  - {{repo: org/more}}\nrun: [small_task]\n"
    more = text.replace("{{repo: org/more}}", f'{{{{revision: "{OLD}", repo: org/more}}}}')
    assert pin_datasets(text.format(before), {"org/questions": NEW, "org/more": OLD}) == more.format(after)


def test_every_metric_that_results_lack_is_named() -> None:
    """All reasons against a benchmark's results are given at once, with the metrics that are there."""
    (benchmark,) = suite(
        benchmarks=[MINIMAL["benchmarks"][0] | {"metrics": ["acc,none", "exact_mach,none"]}]
    ).benchmarks
    assert problems({"small_task": {"alias": "small", "acc,none": 2.0, "acc_norm,none": 1.0}}, benchmark) == [
        "acc,none of small_task is 2.0, which is not between 0 and 1 (there is acc,none, acc_norm,none)",
        "small_task has no number for exact_mach,none (there is acc,none, acc_norm,none)",
    ]
    assert problems({"other": {}}, benchmark) == ["no results of small_task (there is other)"]
