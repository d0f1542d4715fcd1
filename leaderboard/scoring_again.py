"""Rules for scoring stored answers again without a model: which answers a suite may score, and what scores them.

Answers of lm-eval are scored by the harness. For those of another evaluator: where only the suite's rules or its errata
differ, the stored metrics suffice. Where the evaluator's version, its options or its metrics differ, the evaluator
scores the stored samples again, as far as its suite says that it can (`scores_again`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Literal

from leaderboard.evaluator_contract import EvaluatorResults, TaskReport
from leaderboard.evaluator_files import TaskSamples
from leaderboard.evaluators import Evaluator, ScoresAgain
from leaderboard.reasons import bounded, names
from leaderboard.result_digests import ResultDigests, digest_of
from leaderboard.steward_block import EvaluatorUse, StewardBlock
from leaderboard.suites import Suite

ScoredBy = Literal["stored-metrics", "evaluator"]
"""What scores stored samples: the metrics that are stored in them, or the evaluator, which computes them anew."""


class OtherAnswersNeeded(ValueError):
    """A suite does not score the stored answers of an evaluation; the message says why."""


def questions_differ(recorded: Mapping[str, str], suite: Suite) -> list[str]:
    """Return a sentence for each dataset that the suite pins to another commit than the evaluation used."""
    return [
        f"the suite pins the questions of {dataset.repo} to {dataset.revision[:8]}, and {recorded[dataset.repo][:8]} "
        "were asked"
        for dataset in suite.datasets
        if dataset.revision and recorded.get(dataset.repo, dataset.revision) != dataset.revision
    ]


def scored_by(block: StewardBlock, recorded: EvaluatorResults, suite: Suite) -> ScoredBy:
    """Decide what scores the stored samples of a result for a `suite` that names an evaluator.

    `block` is the result's, and `recorded` the evaluator's own report in it. Raises OtherAnswersNeeded.
    """
    evaluator, used, digests = suite.evaluator, block.evaluator, block.digests
    assert evaluator is not None, "the harness scores answers of lm-eval"
    if used is None or used.name != evaluator.name:
        before = used.name if used is not None else "lm-eval"
        raise OtherAnswersNeeded(f"{before} evaluated it, and the suite names the evaluator {evaluator.name}")
    if digests is None:
        raise OtherAnswersNeeded("its results have no digests of the questions and prompts")
    if set(digests.tasks) != set(suite.tasks):
        raise OtherAnswersNeeded("the suite scores other tasks than the evaluation answered")
    if reasons := [*_shots_differ(digests, suite), *questions_differ(block.datasets, suite)]:
        raise OtherAnswersNeeded(f"the suite asks otherwise than the evaluation did: {'; '.join(reasons)}")
    is_same = _is_configured_alike(used, digests, evaluator)
    if evaluator.scores_again is None or (is_same and _are_stored(block, recorded, suite)):
        return "stored-metrics"
    return "evaluator"


def _shots_differ(digests: ResultDigests, suite: Suite) -> Iterator[str]:
    for task, shots in suite.shots.items():
        if digests.tasks[task].asked.shots != shots:
            yield f"{task} has {shots} examples and had {digests.tasks[task].asked.shots}"


def _is_configured_alike(used: EvaluatorUse, digests: ResultDigests, evaluator: Evaluator) -> bool:
    """Whether version and options are the same. Raises OtherAnswersNeeded if the stored answers do not count."""
    can = evaluator.scores_again or ScoresAgain()
    if used.version not in (evaluator.version, *can.versions):
        raise OtherAnswersNeeded(
            f"{used.name} {used.version} evaluated it, and the suite does not say that {evaluator.version} scores "
            "answers of that version (evaluator.scores_again.versions)"
        )
    if digests.modules.get(f"evaluator {evaluator.name}") == digest_of(evaluator.scoring)[:16]:
        return True
    if used.options is None:
        raise OtherAnswersNeeded("its results do not record the evaluator's options, which may have been others")
    differing = sorted(
        name
        for name in used.options.keys() | evaluator.options.keys()
        if used.options.get(name) != evaluator.options.get(name)
    )
    if others := [name for name in differing if name not in can.options]:
        shown = (
            f"{name} is {_shown(evaluator.options.get(name))} and was {_shown(used.options.get(name))}"
            for name in others
        )
        raise OtherAnswersNeeded(
            f"the suite does not say that answers count although options differ (evaluator.scores_again.options): "
            f"{'; '.join(shown)}"
        )
    return used.version == evaluator.version and not differing


def _are_stored(block: StewardBlock, recorded: EvaluatorResults, suite: Suite) -> bool:
    """Whether all metrics of the suite follow from the stored ones.

    They do not if the evaluator reports one, because that covers the questions that counted at the time. Nor do they
    for results of this very suite: scoring these again makes sense only if the evaluator may compute other metrics now.
    """
    evaluator = suite.evaluator
    assert evaluator is not None
    if evaluator.reported or block.suite_digest == suite.digest:
        return False
    return all(
        task.name in recorded.tasks and recorded.tasks[task.name].metrics.keys() >= set(benchmark.metrics)
        for benchmark in suite.benchmarks
        for task in benchmark.tasks
    )


def results_of_stored_metrics(
    recorded: EvaluatorResults, suite: Suite, samples: Mapping[str, TaskSamples]
) -> EvaluatorResults:
    """Return the report that follows from stored `samples`, and for reported metrics from the `recorded` report.

    Raises OtherAnswersNeeded if it reported no such metric.
    """
    tasks = {}
    for task, collected in samples.items():
        known = recorded.tasks[task].metrics if task in recorded.tasks else {}
        if unknown := sorted(set(collected.benchmark.metrics) & collected.reported - known.keys()):
            raise OtherAnswersNeeded(f"the evaluator reported no {names(unknown)} of {task}")
        metrics = {
            metric: known[metric] if metric in collected.reported else collected.mean(metric)
            for metric in collected.benchmark.metrics
        }
        tasks[task] = TaskReport(questions=collected.questions, errors=collected.errors, metrics=metrics)
    assert suite.evaluator is not None
    return recorded.model_copy(update={"evaluator": suite.evaluator.identity, "tasks": tasks})


def _shown(value: object) -> str:
    return bounded(json.dumps(value), 60)
