"""Scores a part of the stored answers to one task, in one of several processes, by the harness's own code.

Runs in the main thread of its process: MATH's metrics limit their time by alarms, which only a main thread gets.
"""

from __future__ import annotations

import json
import random
import signal
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval.utils import handle_non_serializable

from leaderboard.graded_answers import AnswerCollector, TaskAnswers
from leaderboard.suites import Benchmark
from workers.rescoring.stored_answers import (
    AnswersTable,
    StoredAnswer,
    UnusableAnswer,
    read_answers,
    typed_responses,
)
from workers.rescoring.stored_docs import StoredDocs, leaves_questions_alone

_docs = StoredDocs()
"""The cache of questions in this process."""
PLAIN = (float, int, bool)
BATCH = 500
"""Answers of a task in memory at a time, where its filters treat each by itself."""
MAX_UNUSABLE = 20
"""Unusable answers of one part that are named."""


@dataclass(frozen=True)
class ScoringPart:
    """The answers in some row groups of a task's table, except for the questions `withdrawn`; `only` some, if given.

    If `whole`, the task's filters get all answers at once. `samples` is the file to which each question's metrics and
    filtered answers are written, if they are wanted.
    """

    task: str
    table: AnswersTable
    groups: tuple[int, ...]
    benchmark: Benchmark
    withdrawn: frozenset[int] = frozenset()
    only: frozenset[int] | None = None
    whole: bool = False
    samples: Path | None = None


@dataclass
class PartScores:
    """The metrics of the answers in a part: a list for each (metric, filter), whose items belong to `questions`.

    `graded` are the same answers as standard errors need them. `timed_out` are questions whose metric ran out of time.
    """

    questions: list[int] = field(default_factory=list)
    metrics: dict[tuple[str, str], list[Any]] = field(default_factory=lambda: defaultdict(list))
    graded: TaskAnswers | None = None
    timed_out: list[int] = field(default_factory=list)
    unusable: list[UnusableAnswer] = field(default_factory=list)


class StoredRequest:
    """The fields of a request that the harness's filters read, and the filtered responses that they write."""

    __slots__ = ("doc", "filtered_resps", "resps")

    def __init__(self, resps: list[Any], doc: Mapping[str, Any]) -> None:
        self.resps = resps
        self.doc = doc
        self.filtered_resps: dict[str, Any] = {}


class AlarmWatch:
    """Notes that an alarm interrupted a metric: metrics catch it themselves, and then count the answer as wrong."""

    def __init__(self) -> None:
        self.fired = False

    def install(self) -> None:
        """Watch every handler of alarms that is installed from now on in this process."""
        install: Callable[..., Any] = signal.signal

        def watched_install(number: int, handler: Any) -> Any:
            is_new = number == signal.SIGALRM and callable(handler) and not hasattr(handler, "__wrapped__")
            return install(number, self._watched(handler) if is_new else handler)

        signal.signal = watched_install  # type: ignore[assignment]

    def _watched(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(handler)
        def handle(*arguments: Any) -> Any:
            self.fired = True
            return handler(*arguments)

        return handle


def score_part(task: Any, part: ScoringPart, alarms: AlarmWatch) -> PartScores:
    """Filter and score the answers of `part` by the harness's `task`."""
    scores = PartScores()
    collector = AnswerCollector(part.task, part.benchmark)
    answers = read_answers(
        part.table.path,
        part.groups,
        part.table.filter,
        typed_responses(task.OUTPUT_TYPE),
        without=part.withdrawn,
        only=part.only,
        read_doc=_docs.read if leaves_questions_alone(task) else json.loads,
    )
    lines = list[str]()
    for batch in [list(answers)] if part.whole else _batches(answers):
        usable = [answer for answer in batch if isinstance(answer, StoredAnswer)]
        scores.unusable += [answer for answer in batch if isinstance(answer, UnusableAnswer)]
        requests = [[StoredRequest(responses, a.doc) for responses in a.responses] for a in usable]
        every = [request for of_answer in requests for request in of_answer]
        if every:
            for ensemble in task._filters:
                ensemble.apply(every)
        for answer, of_answer in zip(usable, requests, strict=True):
            _score(task, answer, of_answer, scores, collector, alarms, lines if part.samples is not None else None)
    if part.samples is not None:
        part.samples.write_text("".join(lines), encoding="utf-8")
    scores.graded = _as_arrays(collector.answers())
    scores.metrics, scores.unusable = dict(scores.metrics), scores.unusable[:MAX_UNUSABLE]
    return scores


def _batches(answers: Iterable[Any]) -> Iterable[list[Any]]:
    batch = list[Any]()
    for answer in answers:
        batch.append(answer)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _score(
    task: Any,
    answer: StoredAnswer,
    requests: Sequence[StoredRequest],
    scores: PartScores,
    collector: AnswerCollector,
    alarms: AlarmWatch,
    lines: list[str] | None,
) -> None:
    """Add the metrics of one answer after each filter to `scores`; none of them if one fails."""
    alarms.fired, results = False, list[tuple[str, list[Any], Mapping[str, Any]]]()
    may_draw = task.config.process_results is not None
    try:
        for filter_name in requests[0].filtered_resps:
            if may_draw:
                random.seed(0)  # IFEval draws what a question leaves open; each time the same
            filtered = [request.filtered_resps[filter_name] for request in requests]
            results.append((filter_name, filtered, task.process_results(answer.doc, filtered)))
    except Exception as error:  # noqa: BLE001  # whatever a metric's own code raises
        reason = f"its metrics cannot be computed ({type(error).__name__}: {str(error)[:200]})"
        scores.unusable.append(UnusableAnswer(answer.question, reason))
        return
    scores.questions.append(answer.question)
    if alarms.fired:
        scores.timed_out.append(answer.question)
    for filter_name, filtered, metrics in results:
        for name, value in metrics.items():
            scores.metrics[name, filter_name].append(value)
        collector.add_graded(answer.question, answer.doc, filter_name, _plain(metrics))
        if lines is not None:
            named = {"doc_id": answer.question, "filter": filter_name, "metrics": dict(metrics), "answers": filtered}
            lines.append(json.dumps(named, default=handle_non_serializable, ensure_ascii=False) + "\n")


def _plain(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metrics with Python's numbers instead of numpy's."""
    if all(type(value) in PLAIN for value in metrics.values()):
        return metrics
    return {name: value.item() if hasattr(value, "item") else value for name, value in metrics.items()}


def _as_arrays(graded: TaskAnswers | None) -> TaskAnswers | None:
    """The graded answers as arrays, which are faster to send to another process."""
    if graded is None:
        return None
    return TaskAnswers(
        np.asarray(graded.clusters, np.uint64),
        np.asarray(graded.strata, np.uint64),
        np.asarray(graded.sums, float),
        np.asarray(graded.counts, float),
    )
