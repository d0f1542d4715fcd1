"""Standard errors: each rule against a direct computation, and the whole against a bootstrap of the scores."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from leaderboard.graded_answers import AnswerCollector, TaskAnswers
from leaderboard.ranks import benchmark_difference_error
from leaderboard.scores import score as score_results
from leaderboard.steward_block import INFLUENCE_LENGTH
from leaderboard.suites import Suite, find_suite
from leaderboard.uncertainty import Uncertainty, standard_errors

Z = 1.959964
NUMBERS = itertools.count(1_000_000)


def suite(*benchmarks: dict[str, Any]) -> Suite:
    """A suite of these benchmarks."""
    filled = [
        {"source": benchmark["tasks"][0]["name"], "metrics": ["acc,none"], "shots": 0, **benchmark}
        for benchmark in benchmarks
    ]
    data = {"name": "s", "title": "S", "version": 1, "run": ["s"], "datasets": [{"repo": "a/b"}], "benchmarks": filled}
    return Suite.model_validate(data)


def one(**changes: Any) -> Suite:
    """A suite of one benchmark with one task."""
    return suite({"name": "A", "tasks": [{"name": "a"}], **changes})


def answers(grades: Sequence[float], clusters: Sequence[int] | None = None, strata: Sequence[int] = ()) -> TaskAnswers:
    """Questions with one grade each."""
    own = clusters if clusters is not None else [next(NUMBERS) for _ in grades]
    return TaskAnswers(own, strata or [0] * len(grades), [[grade] for grade in grades], [[1.0]] * len(grades))


def errors(suite: Suite, tasks: dict[str, TaskAnswers]) -> Uncertainty:
    """The errors of the scores that follow from the answers; groups are weighted by size."""
    return standard_errors(tasks, score_results(raw(suite, tasks), suite), suite)  # type: ignore[arg-type]


def raw(suite: Suite, tasks: dict[str, TaskAnswers]) -> dict[str, dict[str, float]]:
    """The harness's results."""
    entries: dict[str, dict[str, float]] = {}
    for benchmark in suite.benchmarks:
        every = [tasks[task.name] for task in benchmark.tasks]
        for name, parts in [(benchmark.source, every), *((task.name, [tasks[task.name]]) for task in benchmark.tasks)]:
            sums, counts = (
                np.concatenate([np.array(getattr(p, f)) for p in parts]).sum(axis=0) for f in ("sums", "counts")
            )
            entries[name] = dict(zip(benchmark.metrics, map(float, sums / counts), strict=True))
    return entries


def vector(uncertainty: Uncertainty) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The influence vector."""
    return np.frombuffer(b64decode(uncertainty.normalised.influence), "<f2").astype(float)


GRADES = [float(number % 3 > 0) for number in range(40)]
OTHERS = [float(number % 5 > 1) for number in range(60)]


def test_the_error_of_a_mean_is_that_of_its_questions() -> None:
    """The error is the sample standard deviation by √n; the normalised error is larger by 100 / (1 - bound)."""
    plain = statistics.stdev(GRADES) / math.sqrt(len(GRADES))
    estimates = errors(one(choices=5), {"a": answers(GRADES)})
    assert estimates.tasks["a"] == estimates.raw["A"] == pytest.approx(plain)
    assert (
        estimates.normalised.benchmarks["A"]
        == estimates.normalised.average
        == pytest.approx(plain / 0.8 * 100, rel=1e-6)
    )


def test_unweighted_subtasks_and_the_average_have_the_root_of_the_sum_of_squares() -> None:
    """Errors combine as √ΣSE²/K over subtasks, each above its own bound, and over benchmarks."""
    both = {"tasks": [{"name": "a", "choices": 5}, {"name": "b", "choices": 4}], "normalise": "subtasks", "source": "s"}
    estimates = errors(
        suite({"name": "A", **both}, {"name": "B", "tasks": [{"name": "c"}]}),
        {"a": answers(GRADES), "b": answers(OTHERS), "c": answers([0.0, 1.0] * 40)},
    )
    a, b = (statistics.stdev(each) / math.sqrt(len(each)) for each in (GRADES, OTHERS))
    subtasks = math.hypot(a / 0.8, b / 0.75) / 2 * 100
    c = 100 * statistics.stdev([0.0, 1.0] * 40) / math.sqrt(80)
    assert estimates.normalised.benchmarks == pytest.approx({"A": subtasks, "B": c}, rel=1e-4)
    assert estimates.raw["A"] == pytest.approx(math.hypot(0.4 * a, 0.6 * b)), (
        "the group's raw score is weighted by size"
    )
    assert estimates.normalised.average == pytest.approx(math.hypot(subtasks, c) / 2, rel=1e-4)


def test_subjects_are_strata() -> None:
    """Only the spread within each subject counts for the error."""
    strata = [0] * 40 + [1] * 60
    estimates = errors(one(stratum="subject"), {"a": answers([*GRADES, *OTHERS], strata=strata)})
    parts = [len(each) / 100 * statistics.stdev(each) / math.sqrt(len(each)) for each in (GRADES, OTHERS)]
    assert estimates.raw["A"] == pytest.approx(math.hypot(*parts))


def test_questions_on_one_passage_are_one_draw() -> None:
    """The deviations of a cluster's questions are added before they are squared, also for clusters of several sizes."""
    clusters = [number // 3 for number in range(40)]
    estimates = errors(one(), {"a": answers(GRADES, clusters)})
    mean, totals = statistics.fmean(GRADES), dict.fromkeys(clusters, 0.0)
    for cluster, grade in zip(clusters, GRADES, strict=True):
        totals[cluster] += grade - mean
    count = len(totals)
    assert estimates.raw["A"] == pytest.approx(math.hypot(*totals.values()) / 40 * math.sqrt(count / (count - 1)))


def test_subsets_of_the_same_questions_are_no_independent_draws() -> None:
    """A question that all three subsets of GPQA ask counts once, with its weight in all of them."""
    tasks = ["leaderboard_gpqa_diamond", "leaderboard_gpqa_extended", "leaderboard_gpqa_main"]
    gpqa = {"name": "GPQA", "tasks": [{"name": name, "choices": 4} for name in tasks], "source": "g", "choices": 4}
    sizes = {tasks[0]: 20, tasks[1]: 40, tasks[2]: 30}
    estimates = errors(suite(gpqa), {name: answers(GRADES[:size], list(range(size))) for name, size in sizes.items()})
    deviations = [0.0] * 40
    for size in sizes.values():
        mean = statistics.fmean(GRADES[:size])
        for number in range(size):
            deviations[number] += (GRADES[number] - mean) / 90 * math.sqrt(size / (size - 1))
    assert estimates.raw["GPQA"] == pytest.approx(math.hypot(*deviations))
    alone = {name: answers(GRADES[:size]) for name, size in sizes.items()}
    assert estimates.raw["GPQA"] > 1.5 * errors(suite(gpqa), alone).raw["GPQA"]


def test_prompts_of_several_instructions_are_one_draw_for_both_metrics() -> None:
    """IFEval's mean of two accuracies has the error that leaving out each prompt in turn gives."""
    both = one(metrics=["prompt,none", "instruction,none"])
    followed = [(number * 7 % 5 % (1 + number % 3 + 1), 1 + number % 3) for number in range(300)]
    sums = [[float(right >= count), float(min(right, count))] for right, count in followed]
    counts = [[1.0, float(count)] for _, count in followed]

    def total(keep: list[int]) -> float:
        parts = np.array(sums)[keep].sum(axis=0) / np.array(counts)[keep].sum(axis=0)
        return float(parts.mean())

    left_out = [total([other for other in range(300) if other != number]) for number in range(300)]
    jackknife = math.sqrt(299 / 300 * sum((each - statistics.fmean(left_out)) ** 2 for each in left_out))
    estimates = errors(both, {"a": TaskAnswers(list(range(300)), [0] * 300, sums, counts)})
    assert estimates.raw["A"] == pytest.approx(jackknife, rel=0.005)


@pytest.mark.parametrize(("right", "bound"), [(1.0, 1), (0.0, 1), (0.0, 4)])
@pytest.mark.parametrize("size", [1, 2, 250])
def test_no_error_is_zero(right: float, bound: int, size: int) -> None:
    """Where all answers are right, or all wrong, the interval of the error ends where Wilson's does."""
    estimates = errors(one(**({"choices": bound} if bound > 1 else {})), {"a": answers([right] * size)})
    assert Z * estimates.raw["A"] == pytest.approx(Z**2 / (size + Z**2), rel=1e-4)
    assert 0 < estimates.normalised.benchmarks["A"] <= 100


def test_few_right_answers_have_the_error_by_wilsons_interval() -> None:
    """With three right answers of a hundred the interval reaches the upper end of Wilson's."""
    estimates = errors(one(), {"a": answers([1.0] * 3 + [0.0] * 97)})
    p, n = 0.03, 99
    upper = (p + Z**2 / (2 * n) + Z * math.sqrt(p * (1 - p) / n + (Z / (2 * n)) ** 2)) / (1 + Z**2 / n)
    assert p + Z * estimates.raw["A"] == pytest.approx(upper, rel=1e-3)


@pytest.mark.parametrize("above", [0.0, 0.3, 0.8, 1.5, 3.0])
def test_near_the_level_of_guessing_the_error_is_that_of_a_bootstrap_of_the_scores(above: float) -> None:
    """The error of ten subtasks near the level of guessing is that of a bootstrap, which draws the clusters again."""
    random = np.random.default_rng(5)
    names = [f"t{number}" for number in range(10)]
    both = {"tasks": [{"name": name, "choices": 2} for name in names], "normalise": "subtasks", "source": "s"}
    guessers, passages = suite({"name": "A", **both}), [number // 2 for number in range(240)]
    right = np.arange(240) < round(240 * (0.5 + above * math.sqrt(0.25 / 240)))
    grades = {name: random.permutation(right).astype(float) for name in names}
    averages = []
    for _ in range(1_000):
        drawn = {name: each.reshape(120, 2)[random.integers(0, 120, 120)].mean() for name, each in grades.items()}
        harness = {name: {"acc,none": float(mean)} for name, mean in {**drawn, "s": 0.5}.items()}
        averages.append(score_results(harness, guessers).average)
    tasks = {name: answers(each.tolist(), passages) for name, each in grades.items()}
    for number, task in enumerate(tasks.values()):
        task.clusters = [1_000 * number + passage for passage in passages]
    assert errors(guessers, tasks).normalised.average == pytest.approx(statistics.stdev(averages), rel=0.1)


def test_scores_that_do_not_follow_from_the_answers_have_no_error() -> None:
    """If a raw score is not the answers' mean, or answers are missing, neither benchmark nor average has an error."""
    two = suite({"name": "A", "tasks": [{"name": "a"}]}, {"name": "B", "tasks": [{"name": "b"}]})
    tasks: dict[str, TaskAnswers | None] = {"a": answers(GRADES), "b": answers(OTHERS)}
    scores = score_results({"a": {"acc,none": 0.5}, "b": {"acc,none": statistics.fmean(OTHERS)}}, two)
    normalised = standard_errors(tasks, scores, two).normalised
    assert (list(normalised.benchmarks), normalised.average, normalised.influence) == (["B"], None, "")
    assert standard_errors({**tasks, "b": None}, scores, two).normalised.benchmarks == {}


def test_vectors_tell_the_error_of_a_paired_difference() -> None:
    """The distance of two vectors is the error of the difference on the same questions, zero for the same answers."""
    random = np.random.default_rng(2)
    first = [float(draw) for draw in random.random(2_000) < 0.6]
    second = [grade if draw < 0.7 else 1 - grade for grade, draw in zip(first, random.random(2_000), strict=True)]
    questions = [int(number) for number in random.integers(0, 2**63, 2_000)]
    a, b = (errors(one(), {"a": answers(grades, questions)}) for grades in (first, second))
    paired = 100 * statistics.stdev([x - y for x, y in zip(first, second, strict=True)]) / math.sqrt(2_000)
    assert np.linalg.norm(vector(a) - vector(b)) == pytest.approx(paired, rel=0.1)
    assert np.linalg.norm(vector(a)) == pytest.approx(a.normalised.average, rel=1e-3)
    assert len(vector(a)) == INFLUENCE_LENGTH
    elsewhere = errors(one(), {"a": answers(second, [question + 1 for question in questions])})
    unpaired = math.hypot(a.normalised.average or 0, b.normalised.average or 0)
    assert np.linalg.norm(vector(a) - vector(elsewhere)) == pytest.approx(unpaired, rel=0.1)


def test_the_difference_of_one_benchmark_is_paired() -> None:
    """The error of a difference follows from two vectors: near zero for equal ones, unpaired without a vector."""
    random = np.random.default_rng(3)
    first = [float(draw) for draw in random.random(2_000) < 0.6]
    second = [grade if draw < 0.8 else 1 - grade for grade, draw in zip(first, random.random(2_000), strict=True)]
    questions = [int(number) for number in random.integers(0, 2**64, 2_000, np.uint64)]
    a, b = (errors(one(), {"a": answers(grades, questions)}).normalised for grades in (first, second))
    texts = (a.benchmark_influences["A"], b.benchmark_influences["A"])
    each = (a.benchmarks["A"], b.benchmarks["A"])
    paired = 100 * statistics.stdev([x - y for x, y in zip(first, second, strict=True)]) / math.sqrt(2_000)
    assert benchmark_difference_error(each, texts) == pytest.approx(paired, rel=0.15)
    assert paired < 0.7 * math.hypot(*each)
    assert benchmark_difference_error((each[0], each[0]), (texts[0], texts[0])) < 0.01 * each[0]
    assert benchmark_difference_error(each, (texts[0], "")) == pytest.approx(math.hypot(*each))
    assert [len(text) for text in texts] == [176, 176]


# --- rows of a table of samples


def row(number: int, grade: Any = 1.0, doc: Any = None, filter_name: str = "none", **more: Any) -> dict[str, Any]:
    """A row of a table of samples."""
    return {
        "doc_id": number,
        "doc": json.dumps(doc or {}),
        "metrics": json.dumps({"acc": grade}),
        "filter": filter_name,
        **more,
    }


def collected(rows: Sequence[dict[str, Any]], **changes: Any) -> TaskAnswers | None:
    """The questions of these rows."""
    (benchmark,) = one(**changes).benchmarks
    collector = AnswerCollector("a", benchmark)
    for each in rows:
        collector.add(each)
    return collector.answers()


def test_rows_of_other_filters_do_not_count() -> None:
    """Of a question's rows, one for each filter of the harness, only that of the metric's filter counts."""
    rows = [
        row(0, 1.0, filter_name="strict"),
        row(0, 0.0, filter_name="flexible"),
        row(1, [True, False], filter_name="strict"),
    ]
    task_answers = collected(rows, metrics=["acc,strict"])
    assert task_answers is not None
    assert (task_answers.sums, task_answers.counts) == ([[1.0], [1.0]], [[1.0], [2.0]])


def test_clusters_and_subjects_are_read_from_the_question() -> None:
    """Questions with the same value in the named field share a cluster; one without a readable value is its own."""
    docs = [{"story": "x", "kind": "p"}, {"story": "x", "kind": "q"}, {"story": "y", "kind": "p"}, {"kind": "q"}]
    rows = [*(row(number, doc=doc) for number, doc in enumerate(docs)), row(4, doc={"story": [["x"]]}), row(5)]
    rows[5]["doc"] = '{"story": "x… [cut]'
    task_answers = collected(rows, cluster="story", stratum="kind")
    assert task_answers is not None
    assert task_answers.clusters[0] == task_answers.clusters[1]
    assert len(set(task_answers.clusters)) == 5
    assert task_answers.strata[0] == task_answers.strata[2] != task_answers.strata[1] == task_answers.strata[3]


@pytest.mark.parametrize("grade", [None, "1.0", math.nan, math.inf, 10**400, 1.5, -0.5, [], [None], {"a": 1}])
def test_a_question_without_a_grade_leaves_the_error_unknown(grade: object) -> None:
    """If a question has no grade between 0 and 1, or there is no question, the error is unknown."""
    assert collected([row(0), row(1, grade)]) is None
    assert collected([]) is None
    assert collected([row(0), {**row(1), "metrics": "{… [cut]"}]) is None


def test_every_shipped_suite_names_fields_for_its_errors_without_another_digest() -> None:
    """The shipped suite names fields for standard errors, which do not change its digest."""
    v2 = find_suite("open-llm-v2")
    assert {b.name: (b.cluster, b.stratum) for b in v2.benchmarks if b.cluster or b.stratum} == {
        "GPQA": ("Question", ""),
        "MuSR": ("narrative", ""),
        "MMLU-PRO": ("", "category"),
    }
    data = v2.model_dump()
    for benchmark in data["benchmarks"]:
        del benchmark["cluster"], benchmark["stratum"]
    assert Suite.model_validate(data).digest == v2.digest


@pytest.mark.parametrize(
    ("name", "digest"),
    [("open-llm-v1", "0327a3c72aeb4623"), ("open-llm-v2", "4b75c12683e14ced"), ("starter", "ad2a01c6c121f08d")],
)
def test_digests_of_the_shipped_suites_are_those_of_results_that_exist(name: str, digest: str) -> None:
    """The shipped suites keep their digests, so that new results stay comparable with earlier ones."""
    assert find_suite(name).digest.startswith(digest)


def test_withdrawn_questions_do_not_count() -> None:
    """The answers from which the errors follow do not include withdrawn questions."""
    (benchmark,) = one(metrics=["acc,none"]).benchmarks
    collector = AnswerCollector("a", benchmark, {1})
    for each in (row(0, 1.0), row(1, 0.0), row(2, 0.5)):
        collector.add(each)
    task_answers = collector.answers()
    assert task_answers is not None
    assert task_answers.sums == [[1.0], [0.5]]


@pytest.mark.parametrize(("score", "odd"), [(0.0, 9e-4), (1.0, 1 - 9e-4), (1e-300, 9e-4)])
def test_a_score_at_the_end_of_the_scale_has_an_error_where_an_answer_is_not(score: float, odd: float) -> None:
    """A score of 0 or 1 has an error above zero if an answer differs from it, within the tolerance of the checks."""
    grades = [*([round(score)] * 999), odd]
    estimates = errors_of(one(), {"a": answers(grades)}, score)
    assert 0 < estimates.raw["A"] < 0.1


def errors_of(suite: Suite, tasks: dict[str, TaskAnswers], score: float) -> Uncertainty:
    """The errors of these answers where the results state `score`."""
    return standard_errors(dict(tasks), score_results({"a": {"acc,none": score}}, suite), suite)
