"""The check whether results follow from their published samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from leaderboard.recomputed_metrics import MetricComparison, check_recomputed
from leaderboard.sample_checks import MetricSum, SamplesDiffer, SampleTotals, UnreadableSamples, check_samples
from leaderboard.suites import Suite, parse_suite
from tests.support.evaluators import embeddings

SUITE = """
name: three
title: Three benchmarks
version: 1
run: [alone, group, texts]
datasets: [{repo: org/questions}]
benchmarks:
  - {name: Alone, source: alone, tasks: [{name: alone}], metrics: ["acc,none"], shots: 0}
  - {name: Group, source: group, tasks: [{name: one}, {name: two}], metrics: ["em,strict", "em,loose"], shots: 0}
  - {name: Texts, source: texts, tasks: [{name: texts}], metrics: ["em,none"], shots: 0, generative: true}
"""
ALONE = SampleTotals(4, {"none": 4}, {"acc,none": MetricSum(3.0, 4)})
ONE = SampleTotals(4, {"strict": 2, "loose": 2}, {"em,strict": MetricSum(1.0, 2), "em,loose": MetricSum(2.0, 2)})
TWO = SampleTotals(12, {"strict": 6, "loose": 6}, {"em,strict": MetricSum(6.0, 6), "em,loose": MetricSum(6.0, 6)})
UNKNOWN = "its aggregation is not known to be the mean"
TEXTS = SampleTotals(2, {"none": 2}, {"em,none": MetricSum(1.0, 2)})
TABLES: dict[str, Any] = {"alone": ALONE, "one": ONE, "two": TWO, "texts": TEXTS}


@pytest.fixture(scope="module")
def suite() -> Suite:
    """Return a suite with a benchmark of one task, one of two tasks with two filters, and one of generated texts."""
    return parse_suite(SUITE)


def results(**tasks: dict[str, float]) -> dict[str, Any]:
    """The results that follow from TABLES, with other values for some tasks."""
    values: dict[str, Any] = {
        "alone": {"acc,none": 0.75},
        "one": {"em,strict": 0.5, "em,loose": 1.0},
        "two": {"em,strict": 1.0, "em,loose": 1.0},
        "group": {"em,strict": 0.875, "em,loose": 1.0},
        "texts": {"em,none": 0.5},
    }
    return {
        "results": {name: {**entry, **tasks.get(name, {})} for name, entry in values.items()},
        "n-samples": {"alone": {"original": 4, "effective": 4}},
    }


def aggregated(name: str, task: str = "alone", **tasks: dict[str, float]) -> dict[str, Any]:
    """The results, whose configs name an aggregation of the metric `acc`."""
    configs = {task: {"metric_list": [{"metric": "acc", "aggregation": name}]}}
    return {**results(**tasks), "configs": configs}


@pytest.mark.parametrize(
    "claimed",
    [
        results(),
        results(alone={"acc,none": 0.75 + 4e-7}),
        results(group={"em,strict": 0.75}),
        aggregated("mean"),
        {**results(), "n-samples": {}},
    ],
    ids=["exact", "other last digits", "a group as the plain mean", "a named mean", "no numbers of samples"],
)
def test_honest_results_follow_from_their_samples(suite: Suite, claimed: dict[str, Any]) -> None:
    """Results pass if they are the means of the samples up to rounding; a group may be weighted by size or not."""
    checked = check_samples(claimed, suite, {"alone": 4, "two": 6}, TABLES)
    assert (checked.samples, checked.unchecked) == (22, ())


@pytest.mark.parametrize(
    ("claimed", "tables", "named"),
    [
        (results(alone={"acc,none": 0.76}), {}, "acc,none of alone is 0.760000, and the samples give 0.750000"),
        (aggregated("mean", alone={"acc,none": 0.76}), {}, "acc,none of alone is 0.760000"),
        (aggregated("def agg_inst_level_acc(items):", alone={"acc,none": 0.76}), {}, "acc,none of alone is 0.760000"),
        (results(group={"em,strict": 0.9}), {}, "em,strict of group is 0.900000, and its tasks give 0.875000"),
        (results(two={"em,loose": 0.9}), {}, "em,loose of group is 1.000000, and its tasks give 0.925000"),
        (results(), {"alone": replace(ALONE, rows=5)}, "alone has 1 samples of questions that it has already"),
        (
            results(),
            {"alone": SampleTotals(3, {"none": 3}, {"acc,none": MetricSum(2.25, 3)})},
            "alone has 3 samples, and 4 by the results",
        ),
        (results(), {"two": replace(TWO, rows=10, questions={"strict": 5, "loose": 5})}, "and 6 by the digests"),
        (results(), {"one": replace(ONE, rows=2, questions={"strict": 2})}, "one has no samples of the filter loose"),
        (results(), {"alone": SampleTotals(0)}, "alone has no samples of the filter none"),
        (results(), {"alone": replace(ALONE, scores_differ=2)}, "2 samples of alone have another score"),
        (
            results(),
            {"alone": replace(ALONE, metrics={"acc,none": MetricSum(3.0, 4, 1)})},
            "alone has 1 samples without a number for acc,none",
        ),
    ],
)
def test_results_that_do_not_follow_from_their_samples_are_refused(
    suite: Suite, claimed: dict[str, Any], tables: dict[str, Any], named: str
) -> None:
    """A value or a number of samples that the samples do not give is refused, and the error names it."""
    with pytest.raises(SamplesDiffer) as raised:
        check_samples(claimed, suite, {"two": 6}, {**TABLES, **tables})
    assert named in str(raised.value)


@pytest.mark.parametrize(
    ("claimed", "tables", "named"),
    [
        (
            aggregated("median", alone={"acc,none": 1.0}),
            {},
            ["alone: acc,none: its aggregation is not known to be the mean"],
        ),
        (
            results(one={"em,strict": 0.4}, group={"em,strict": 0.85}),
            {},
            [f"one: em,strict: {UNKNOWN}"],
        ),
        (
            results(),
            {"two": UnreadableSamples("the bot may not read it")},
            [
                "two: the bot may not read it",
                "group: em,strict: not all of its tasks could be compared",
                "group: em,loose: not all of its tasks could be compared",
            ],
        ),
        (
            {**results(group={"em,strict": 0.1, "em,loose": 0.1}), "group_subtasks": {"group": ["one", "three"]}},
            {},
            [
                "group: em,strict: it has tasks that are not the suite's",
                "group: em,loose: it has tasks that are not the suite's",
            ],
        ),
    ],
)
def test_what_cannot_be_compared_is_said(
    suite: Suite, claimed: dict[str, Any], tables: dict[str, Any], named: list[str]
) -> None:
    """Values with another aggregation, an unreadable table or other tasks in a group are listed, and not refused."""
    assert list(check_samples(claimed, suite, {}, {**TABLES, **tables}).unchecked) == named


@pytest.mark.parametrize(
    ("task", "comparison", "noted", "differs"),
    [
        ("alone", MetricComparison(500), 0, ""),
        ("alone", MetricComparison(500, below=1, first=4), 0, "1 of 500 samples of alone have other metrics than"),
        ("texts", MetricComparison(10, below=1, first=4), 1, ""),
        ("texts", MetricComparison(500, below=25, first=4), 1, ""),
        ("texts", MetricComparison(500, below=26, first=4), 0, "26 of 500 samples of texts"),
        ("texts", MetricComparison(5_000, above=1, first=4), 0, "1 of 5,000 samples of texts"),
        ("texts", MetricComparison(500, above=1, below=1, first=4), 0, "as question 4"),
        ("texts", MetricComparison(), 0, "has no samples"),
        ("texts", MetricComparison(error="is no table of samples"), 0, "is no table of samples"),
    ],
)
def test_metrics_that_the_answers_do_not_give_are_named(
    suite: Suite, task: str, comparison: MetricComparison, noted: int, differs: str
) -> None:
    """A published metric other than the recomputed one is refused; a few lower ones of generated texts are accepted."""
    if not differs:
        assert len(check_recomputed({task: comparison}, suite)) == noted
        return
    with pytest.raises(SamplesDiffer) as raised:
        check_recomputed({task: comparison}, suite)
    assert differs in str(raised.value)


@pytest.mark.parametrize(("accuracy", "is_refused"), [(0.75, False), (0.76, True)])
def test_metrics_of_another_evaluator_are_means_unless_the_suite_says_otherwise(
    accuracy: float, is_refused: bool
) -> None:
    """Each metric but those in `reported` must be the mean, whatever it is called."""
    suite = parse_suite(yaml.safe_dump(embeddings.SUITE))
    tables: dict[str, Any] = {
        "triples": SampleTotals(4, {"": 4}, {"accuracy": MetricSum(3.0, 4)}),
        "pairs": SampleTotals(6, {"": 6}, {"spearman": MetricSum(0.0, 0, 6)}),
    }
    claimed = {"results": {"triples": {"accuracy": accuracy}, "pairs": {"spearman": 0.9}}}
    if is_refused:
        with pytest.raises(SamplesDiffer, match=r"accuracy of triples is 0\.760000"):
            check_samples(claimed, suite, {}, tables)
        return
    assert check_samples(claimed, suite, {}, tables).unchecked == (f"pairs: spearman: {UNKNOWN}",)
