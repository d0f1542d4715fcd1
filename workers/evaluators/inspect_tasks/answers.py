"""Turns a log of inspect-ai into lines of samples and the report of a task.

A question's value for a metric is that of a scorer: of the first one for `accuracy` and `mean`, of the scorer that
the metric names, or of the member of that name if a score has several. Any other metric is inspect-ai's own aggregate.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inspect_ai.dataset import Dataset
from inspect_ai.log import EvalLog, EvalSample
from inspect_ai.model import ChatMessage
from inspect_ai.scorer import Score, value_to_float

from workers.evaluators.inspect_tasks.settings import BETWEEN_EPOCHS, CannotEvaluate

FIRST_SCORER = ("accuracy", "mean")
"""Metrics that name the mean of the first scorer."""
MAX_TEXT = MAX_QUESTION = 100_000
"""Maximal characters of a text, and of a question as JSON; a longer question is replaced by its digest."""
CUT = " … [cut]"
_MAX_METRICS = 50
_to_float = value_to_float()


@dataclass(frozen=True)
class InspectedTask:
    """The samples of a task and its entry in results.json."""

    samples: Sequence[dict[str, Any]]
    report: dict[str, Any]


def task_answers(
    name: str, metrics: Sequence[str], log: EvalLog, dataset: Dataset, withdrawn: Sequence[int] = ()
) -> InspectedTask:
    """The samples and the report of the task `name` in `log`; the suite scores `metrics`. Raises CannotEvaluate.

    If there are `withdrawn` questions, it refuses metrics that inspect-ai alone computes, because they count all.
    """
    if log.status != "success" or not log.samples:
        words = log.error.message.strip().splitlines()[-1:] if log.error else []
        raise CannotEvaluate("evaluator", f"task {name} ended with an error: {' '.join(words) or log.status}")
    numbers = {sample.id if sample.id is not None else place + 1: place for place, sample in enumerate(dataset)}
    epochs: dict[int, list[EvalSample]] = {}
    for sample in log.samples:
        epochs.setdefault(numbers[sample.id], []).append(sample)
    reduced = _reduced(log)
    samples = []
    for number, runs in sorted(epochs.items()):
        runs.sort(key=lambda run: run.epoch)
        values = reduced.get(runs[0].id, {}) if len(runs) > 1 else runs[0].scores or {}
        samples.append(_sample(number, runs, _numbers(values)))
    errors = [sample["error"] for sample in samples if sample["error"]]
    if len(errors) == len(samples):
        raise CannotEvaluate("evaluator", f"every question of task {name} ended with an error: {errors[0]}")
    known = {metric for sample in samples for metric in sample["metrics"]}
    for sample in samples:
        sample["metrics"] |= {metric: 0.0 for metric in metrics if metric in known and metric not in sample["metrics"]}
    if withdrawn and (own := sorted(set(metrics) - known)):
        words = f"inspect-ai computes {own[0]} of all questions of task {name}, and the suite withdraws some"
        raise CannotEvaluate("evaluator", words)
    report = {"questions": len(samples), "errors": len(errors)}
    return InspectedTask(samples, {**report, "metrics": _report(name, metrics, known, samples, log)})


def _reduced(log: EvalLog) -> dict[int | str, dict[str, Score]]:
    """Question → scorer → the score of its epochs together, by the first reducer."""
    reduced: dict[int | str, dict[str, Score]] = {}
    for reduction in log.reductions or ():
        for score in reduction.samples:
            if score.sample_id is not None:
                reduced.setdefault(score.sample_id, {}).setdefault(reduction.scorer, score)
    return reduced


def metric_name(name: str) -> str:
    """Convert a name of inspect-ai to a valid name of a metric."""
    return re.sub(r"[^a-z0-9_]", "_", name.lower())[:60]


def _numbers(scores: Mapping[str, Score]) -> dict[str, float]:
    """Metric → value, for the numbers in the scores of a question."""
    values: dict[str, float] = {}
    for place, (scorer, score) in enumerate(scores.items()):
        value = score.value
        if isinstance(value, Mapping):
            members = {
                key: _to_float(member) for key, member in value.items() if not isinstance(member, list | Mapping)
            }
        elif isinstance(value, list):
            continue
        else:
            members = {scorer: _to_float(value)}
            if not place:
                members |= dict.fromkeys(FIRST_SCORER, members[scorer])
        for key, number in members.items():
            values.setdefault(metric_name(str(key)), number)
    return dict(list(values.items())[:_MAX_METRICS])


# --- samples


def _sample(number: int, runs: Sequence[EvalSample], values: Mapping[str, float]) -> dict[str, Any]:
    first, finite = runs[0], {name: value for name, value in values.items() if math.isfinite(value)}
    question = _question(first)
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    error = next(filter(None, map(_error, runs)), "")
    if not error and len(finite) < len(values):
        error = "its score is not a number"
    if not error and not values:
        error = "it has no score that is a number"
    return {
        "id": number,
        "question_digest": hashlib.sha256(canonical.encode()).hexdigest(),
        **({"question": question} if len(canonical) <= MAX_QUESTION else {}),
        "prompt": _bounded(_prompt(first)),
        "target": _bounded("\n".join([first.target] if isinstance(first.target, str) else first.target)),
        "output": _bounded(BETWEEN_EPOCHS.join(run.output.completion for run in runs)),
        "metrics": {} if error else finite,
        "error": error,
    }


def _question(sample: EvalSample) -> dict[str, Any]:
    """The question of a sample as JSON data: plain metadata, input, target and choices."""
    asked = sample.input if isinstance(sample.input, str) else [_message(message) for message in sample.input]
    question = {key: value for key, value in sample.metadata.items() if _is_plain(value)}
    question |= {"input": asked, "target": sample.target}
    if sample.choices:
        question["choices"] = sample.choices
    encodable: dict[str, Any] = json.loads(json.dumps(question, ensure_ascii=False).encode("utf-8", "replace"))
    return encodable


def _message(message: ChatMessage) -> dict[str, str]:
    return {"role": message.role, "content": message.text}


def _is_plain(value: object) -> bool:
    return isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value))


def _prompt(sample: EvalSample) -> str:
    """The messages before the first answer: one text, or a line of each role."""
    asked: list[ChatMessage] = []
    for message in sample.messages:
        if message.role == "assistant":
            break
        asked.append(message)
    if not asked:
        return sample.input if isinstance(sample.input, str) else "\n".join(message.text for message in sample.input)
    return "\n".join(f"{message.role}: {message.text}" if len(asked) > 1 else message.text for message in asked)


def _error(sample: EvalSample) -> str:
    """Why a sample has no answer; "" if it has one."""
    if sample.error is not None:
        return (sample.error.message.strip() or "an error without a message")[:1000]
    if sample.limit is not None and sample.limit.type in ("time", "working"):
        return f"it reached its limit of {sample.limit.limit:g} seconds"
    return ""


def _bounded(text: str) -> str:
    text = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - len(CUT)] + CUT
    return text.encode("utf-8", "replace").decode()


# --- the report


def _report(
    name: str, metrics: Sequence[str], known: set[str], samples: Sequence[Mapping[str, Any]], log: EvalLog
) -> dict[str, float]:
    """Metric → value: the suite's metrics, and everything else that inspect-ai computed."""
    complete = not any(sample["error"] for sample in samples)
    own = dict(_aggregates(log))
    values = {}
    for metric in metrics:
        if metric in own and (complete or metric not in known):
            values[metric] = own[metric]
        elif metric in known:
            values[metric] = math.fsum(sample["metrics"][metric] for sample in samples) / len(samples)
        else:
            there = ", ".join(sorted(known | own.keys()))[:300]
            raise CannotEvaluate("evaluator", f"task {name} has no metric {metric}; there are {there}")
    return dict(list({**values, **own, **values}.items())[:_MAX_METRICS])


def _aggregates(log: EvalLog) -> Iterator[tuple[str, float]]:
    """inspect-ai's aggregates over all questions; the scorer's name precedes the metric's, except for the first."""
    scores = log.results.scores if log.results else []
    for place, score in enumerate(scores):
        for metric, result in score.metrics.items():
            if isinstance(result.value, int | float) and math.isfinite(result.value):
                yield metric_name(metric if not place else f"{score.name}_{metric}"), float(result.value)
