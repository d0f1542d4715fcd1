"""Compares the samples of two evaluations of one model: digit for digit, or as far as two engines agree.

Between two engines the last digits of log-likelihoods differ, and texts may differ after a token that is nearly as
likely as another one. Questions, prompts and metrics are the same.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Literal, get_args

from workers.evaluation.shared_prefix.tree import ScoredAnswer
from workers.evaluation.shared_prefix.trust import SPREAD_FACTOR, TOLERANCE, Comparison

QUESTION = ("doc_id", "doc", "prompt", "continuations", "target", "filter")
"""The columns of a sample that no engine changes."""
NO_CONTINUATIONS = "[]"
"""The column `continuations` of the samples of an evaluator other than lm-eval."""
LAST_DIGITS = 1e-3
"""The largest relative difference of two decimals that counts as a difference of last digits only."""
_DECIMAL = re.compile(r"-?\d{1,9}\.\d{2,20}(?:e[-+]?\d{1,3})?")
EPSILONS = {"float16": 2.0**-10, "bfloat16": 2.0**-7}
"""Half precision: the distance of 1.0 to the next number."""

Sample = Mapping[str, Any]
"""A row of a details table."""


@dataclass(frozen=True)
class TaskComparison:
    """One task: its samples, those that are equal, those that agree, and the `doc_id` of the first that does not agree.

    Of the agreeing samples, `texts` have different texts, and metrics differ by at most `metric_difference`. With one
    engine both are 0.
    """

    task: str
    samples: int
    equal: int
    agreeing: int
    first: int | None
    texts: int = 0
    metric_difference: float = 0.0


class EngineTolerance:
    """The agreement of two engines' samples of a model that computes in `dtype`.

    In float32 each log-likelihood must agree, and whether each answer is the most likely one. In half precision the
    log-likelihoods of all samples together must (`disagreement`), by the rule to which the engine itself is held.
    """

    def __init__(self, dtype: str) -> None:
        self.epsilon = EPSILONS.get(dtype.removeprefix("torch."))
        self.largest_difference = 0.0
        self._published: dict[int, ScoredAnswer] = {}
        self._here: dict[int, ScoredAnswer] = {}

    def metric_difference(self, published: Sample, here: Sample) -> float | None:
        """The largest difference of a metric; None if it is larger than those of log-likelihoods explain."""
        old, new = _json(published["metrics"]), _json(here["metrics"])
        if not isinstance(old, dict) or not isinstance(new, dict) or old.keys() != new.keys():
            return None
        changed = [(old[name], new[name]) for name in old if old[name] != new[name]]
        if not all(isinstance(value, float) for pair in changed for value in pair):
            return None
        largest = max((abs(then - now) for then, now in changed), default=0.0)
        return largest if largest <= (SPREAD_FACTOR * self.epsilon if self.epsilon else TOLERANCE) else None

    def answers_agree(self, published: Sample, here: Sample) -> bool:
        """Whether log-likelihoods agree as far as one sample shows it; texts always do."""
        old, new = _scored_answers(published), _scored_answers(here)
        if old is None or new is None:
            return old is new
        differences = [abs(then - now) for (then, _), (now, _) in zip(old, new, strict=False)]
        self.largest_difference = max([self.largest_difference, *differences])
        if self.epsilon is None:
            return len(old) == len(new) and not Comparison(dict(enumerate(old))).disagreement(dict(enumerate(new)))
        start = len(self._published)
        self._published |= dict(enumerate(old, start))
        self._here |= dict(enumerate(new, start))
        return len(old) == len(new)

    def disagreement(self) -> str:
        """Why the log-likelihoods of all samples together do not agree; "" if they do."""
        return Comparison(self._published, epsilon=self.epsilon).disagreement(self._here)


def compare_task(
    task: str, published: Iterable[Sample], here: Iterable[Sample], tolerance: EngineTolerance | None
) -> TaskComparison:
    """Compare the samples of `task`; without `tolerance` digit for digit."""
    count = equal = agreeing = texts = 0
    metric_difference = 0.0
    first = None
    for old, new in paired(published, here):
        count += 1
        if old is not None and old == new:
            equal += 1
            agreeing += 1
            if tolerance is not None:
                tolerance.answers_agree(old, new)  # half precision: equal ones belong to the distribution
            continue
        difference = None
        if tolerance is not None and old and new and all(old[name] == new[name] for name in QUESTION):
            difference = tolerance.metric_difference(old, new) if tolerance.answers_agree(old, new) else None
        if difference is not None and new is not None:
            agreeing += 1
            texts += _scored_answers(new) is None
            metric_difference = max(metric_difference, difference)
        elif first is None:
            first = int((new or old or {}).get("doc_id", -1))
    return TaskComparison(task, count, equal, agreeing, first, texts, metric_difference)


def paired(published: Iterable[Sample], here: Iterable[Sample]) -> Iterator[tuple[Sample | None, Sample | None]]:
    """The samples of each question and filter, None where one side lacks it; in the order of `published`.

    Evaluators may write their samples in any order. Those that wait for their counterpart are in memory.
    """
    waiting: tuple[dict[object, Sample], dict[object, Sample]] = {}, {}
    for pair in zip_longest(published, here):
        for side, sample in enumerate(pair):
            if sample is None:
                continue
            key = (sample["doc_id"], sample["filter"])
            counterpart = waiting[1 - side].pop(key, None)
            if counterpart is None:
                waiting[side][key] = sample
            else:
                yield (counterpart, sample) if side else (sample, counterpart)
    yield from ((sample, None) for sample in waiting[0].values())
    yield from ((None, sample) for sample in waiting[1].values())


SampleVerdict = Literal["same", "other-digits", "other-answers", "other-prompt"]
VERDICTS: tuple[SampleVerdict, ...] = get_args(SampleVerdict)
"""From the best one to the worst one."""
ASKED = ("doc_id", "prompt", "continuations", "filter")
"""The columns of a sample that say what the model was asked."""


def sample_verdict(published: Sample, here: Sample) -> SampleVerdict:
    """The verdict about two samples of one question. The answer to a question with choices is the most likely choice.

    Metrics decide where both samples have those of one task: they may weigh likelihoods by the length of a choice.
    """
    if any(published[name] != here[name] for name in ASKED):
        return "other-prompt"
    if published["responses"] == here["responses"]:
        return "same"
    if published["continuations"] == NO_CONTINUATIONS:
        alike = _decimals_differ(published, here) is not None and not _metrics_differ(published, here)
        return "other-digits" if alike else "other-answers"
    old, new = _scored_answers(published), _scored_answers(here)
    if not old or not new or len(old) != len(new) or _choice(old) != _choice(new):
        return "other-answers"
    return "other-answers" if _metrics_differ(published, here) else "other-digits"


def _decimals_differ(published: Sample, here: Sample) -> float | None:
    """The largest difference of decimals in two outputs; None if more than last digits of decimals differs."""
    old, new = (" ".join(answers_of(sample)) for sample in (published, here))
    if _DECIMAL.sub("0.0", old) != _DECIMAL.sub("0.0", new):
        return None
    pairs = [(float(then), float(now)) for then, now in zip(_DECIMAL.findall(old), _DECIMAL.findall(new), strict=True)]
    if any(abs(then - now) > LAST_DIGITS * max(1.0, abs(then)) for then, now in pairs):
        return None
    return max((abs(then - now) for then, now in pairs), default=0.0)


def _choice(answers: list[ScoredAnswer]) -> tuple[int, bool]:
    """The most likely choice; of one answer alone, whether it is the most likely text."""
    best = max(range(len(answers)), key=lambda at: answers[at][0])
    return best, len(answers) == 1 and answers[0][1]


def _metrics_differ(published: Sample, here: Sample) -> bool:
    """Whether a metric differs by half of its range or more, as it does if another choice counts as the answer."""
    old, new = _json(published["metrics"]), _json(here["metrics"])
    if not isinstance(old, dict) or not isinstance(new, dict):
        return False
    pairs = [(old[name], new[name]) for name in old.keys() & new.keys() if old[name] != new[name]]
    numbers = (isinstance(value, int | float) for pair in pairs for value in pair)
    return not all(numbers) or any(abs(then - now) >= 0.5 for then, now in pairs)


def largest_difference(published: Sample, here: Sample) -> float:
    """The largest difference of a log-likelihood, or of decimals in outputs; 0 where the answers are texts."""
    if published["continuations"] == NO_CONTINUATIONS:
        return _decimals_differ(published, here) or 0.0
    old, new = _scored_answers(published) or [], _scored_answers(here) or []
    return max((abs(then - now) for (then, _), (now, _) in zip(old, new, strict=False)), default=0.0)


def answers_of(sample: Sample) -> tuple[str, ...]:
    """The log-likelihood of each choice, or the texts, as they are recorded."""
    scored = _scored_answers(sample)
    if scored is not None:
        return tuple(repr(log_likelihood) for log_likelihood, _ in scored)
    responses = _json(sample["responses"])
    if not isinstance(responses, list):
        return (str(sample["responses"]),)
    return tuple(str(text) for each in responses for text in (each if isinstance(each, list) else [each]))


def _scored_answers(sample: Sample) -> list[ScoredAnswer] | None:
    """The log-likelihoods of the answers, and whether each is the most likely one; None if the answers are texts."""
    responses = _json(sample["responses"])
    try:
        pairs: list[Any] = [pair for each in responses for pair in each] if isinstance(responses, list) else [None]
        if not all(isinstance(pair, list) and len(pair) == 2 and pair[1] in ("True", "False") for pair in pairs):
            return None
        return [(float(log_likelihood), greedy == "True") for log_likelihood, greedy in pairs]
    except (TypeError, ValueError):  # an untrusted table may hold anything
        return None


def _json(text: str) -> Any:
    """The value that a cell holds; None if the table cut it, or it is not JSON."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


class SampleDifferences:
    """Compares samples one by one, and keeps the first of the worst kind."""

    def __init__(self) -> None:
        self.counts: Counter[SampleVerdict] = Counter()
        self.rescored = 0
        self.largest = 0.0
        self.first: tuple[str, SampleVerdict, Sample, Sample] | None = None

    def add(self, task: str, published: Sample | None, here: Sample | None) -> None:
        """Compare one sample; None where one side lacks it."""
        if published is None or here is None:
            self.counts["other-prompt"] += 1
            return
        verdict = sample_verdict(published, here)
        self.counts[verdict] += 1
        self.largest = max(self.largest, largest_difference(published, here))
        scored_otherwise = published["metrics"] != here["metrics"]
        self.rescored += verdict == "same" and scored_otherwise
        if (verdict != "same" or scored_otherwise) and (
            self.first is None or VERDICTS.index(verdict) > VERDICTS.index(self.first[1])
        ):
            self.first = task, verdict, published, here

    @property
    def verdict(self) -> SampleVerdict:
        """The worst verdict of all samples."""
        return max(self.counts, key=VERDICTS.index, default="same")
