"""Scores parts of the answers to tasks in a pool of processes, and joins the scores of the parts.

A question whose metric ran out of time is scored once more when nothing else runs; if it runs out of time again, the
harness's value for that counts, as in an evaluation.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from leaderboard.graded_answers import TaskAnswers
from leaderboard.suites import Benchmark, Suite
from workers.common import kernel
from workers.errors import RescoringRefused
from workers.rescoring.rescored_tables import write_rescored_table
from workers.rescoring.scoring import AlarmWatch, PartScores, ScoringPart, score_part
from workers.rescoring.stored_answers import AnswersTable, UnusableAnswer, open_table
from workers.rescoring.stored_tasks import filters_are_independent

ROW_GROUPS = 2
"""Row groups of a part: about a thousand answers, or fewer long ones."""
TEXTS = 25
"""Generated answers of a part: MATH's metrics take about ten milliseconds for each, and some a second."""
NEW_OBJECTS = 200_000
"""New objects after which Python searches for garbage. Its default is 700, and the searches take a third of the time
while many answers are in memory."""

_tasks: dict[str, Any] = {}
"""The harness's tasks, for the processes that are forked after they were made."""
_alarms = AlarmWatch()


@dataclass
class TaskScores:
    """The joined scores of all parts of one task."""

    metrics: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    graded: TaskAnswers | None = None
    timed_out: list[int] = field(default_factory=list)
    unusable: list[UnusableAnswer] = field(default_factory=list)
    count: int = 0


class ScoringPool:
    """Processes that score answers by the harness's `tasks`, with which they are forked when they are first needed."""

    def __init__(self, suite: Suite, processes: int, tasks: Mapping[str, Any]) -> None:
        self.suite = suite
        self.processes = processes
        self.tasks = tasks
        self._pool: ProcessPoolExecutor | None = None

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def open(self, paths: Sequence[Path]) -> dict[str, AnswersTable]:
        """Open the tables of all tasks of the suite. Raises RescoringRefused."""
        names = self.suite.tasks
        with self._refusing_if_broken():
            return dict(zip(names, self._processes().map(open_table, paths, names), strict=True))

    def write_tables(self, tables: Path, samples: Path, new_tables: Path) -> None:
        """Write the tables of answers with the new scores; see `write_rescored_table`. Raises RescoringRefused."""
        with self._refusing_if_broken():
            writing = [
                self._processes().submit(
                    write_rescored_table,
                    tables / f"{task.name}.parquet",
                    samples / f"{task.name}.jsonl",
                    new_tables / f"{task.name}.parquet",
                    benchmark,
                )
                for benchmark in self.suite.benchmarks
                for task in benchmark.tasks
            ]
            for future in writing:
                future.result()

    def score(self, tables: Mapping[str, AnswersTable], samples: Path | None) -> dict[str, TaskScores]:
        """The scores of all tasks; see `Rescorer.rescore` for `samples`. Raises RescoringRefused."""
        parts = list(self._parts(tables, samples))
        with self._refusing_if_broken():
            done = dict(self._run(enumerate(parts)))
            self._score_alone(parts, done)
        scored = {task: TaskScores() for task in tables}
        for number, part in enumerate(parts):
            _join(scored[part.task], done[number])
        if samples is not None:
            _join_samples(parts)
        return scored

    @contextmanager
    def _refusing_if_broken(self) -> Iterator[None]:
        """Raise RescoringRefused if a process ends inside the block; others are forked when they are needed next."""
        try:
            yield
        except BrokenProcessPool as error:
            self.close()
            raise RescoringRefused("a process ended while it scored; it may have had too little memory") from error

    def _parts(self, tables: Mapping[str, AnswersTable], samples: Path | None) -> Iterator[ScoringPart]:
        """The parts, those of generated answers first: each takes long, and the processes should end together.

        For the same reason, tasks with many answers come before those with few.
        """
        tasks = [(benchmark, task.name) for benchmark in self.suite.benchmarks for task in benchmark.tasks]
        tasks.sort(key=lambda pair: (not pair[0].generative, -len(tables[pair[1]].questions)))
        for benchmark, task in tasks:
            yield from self._parts_of(task, benchmark, tables[task], samples)

    def _parts_of(
        self, task: str, benchmark: Benchmark, table: AnswersTable, samples: Path | None
    ) -> Iterator[ScoringPart]:
        is_whole = not filters_are_independent(self.tasks[task])
        whole = ScoringPart(task, table, table.groups, benchmark, self.suite.withdrawn(task), whole=is_whole)
        if is_whole:
            parts = [whole]
        elif benchmark.generative:
            parts = [replace(whole, groups=(group,), only=only) for group, only in _text_parts(table)]
        else:
            starts = range(0, len(table.groups), ROW_GROUPS)
            parts = [replace(whole, groups=table.groups[start : start + ROW_GROUPS]) for start in starts]
        for number, part in enumerate(parts):
            yield replace(part, samples=samples / f"{task}.jsonl.{number:06}" if samples is not None else None)

    def _run(self, parts: Iterable[tuple[int, ScoringPart]]) -> Iterator[tuple[int, PartScores]]:
        """Score parts in all processes; few of them are under way at a time, so that memory stays bounded."""
        waiting, running = iter(parts), dict[Future[PartScores], int]()
        while True:
            for number, part in islice(waiting, 2 * self.processes - len(running)):
                running[self._processes().submit(_score_part, part)] = number
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                yield running.pop(future), future.result()

    def _score_alone(self, parts: Sequence[ScoringPart], done: dict[int, PartScores]) -> None:
        """Score the parts' questions that ran out of time once more, one after the other: nothing else runs now."""
        for number, part in enumerate(parts):
            for question in done[number].timed_out if not part.whole else ():
                alone = replace(part, only=frozenset((question,)), samples=None)
                again = self._processes().submit(_score_part, alone).result()
                if not again.timed_out and again.questions:
                    # Rare: score the whole part again, so that all its scores are consistent.
                    done[number] = self._processes().submit(_score_part, part).result()
                    break

    def _processes(self) -> ProcessPoolExecutor:
        """The pool, whose processes are forked from this one after the tasks were made."""
        if self._pool is None:
            _tasks.clear()
            _tasks.update(self.tasks)
            gc.collect()
            gc.freeze()  # what the processes share stays shared
            context = multiprocessing.get_context("fork")
            self._pool = ProcessPoolExecutor(
                self.processes, mp_context=context, initializer=_begin, initargs=(os.getpid(),)
            )
        return self._pool


def _text_parts(table: AnswersTable) -> Iterator[tuple[int, frozenset[int]]]:
    """Row groups of a table, each with at most TEXTS of its questions."""
    questions = iter(table.questions)
    for group, size in zip(table.groups, table.sizes, strict=True):
        for start in range(0, size, TEXTS):
            yield group, frozenset(islice(questions, min(TEXTS, size - start)))


def _begin(parent: int) -> None:
    """Prepare a process of the pool: it ends with the process that started it, even if that one is killed."""
    kernel.die_with_parent(parent)
    gc.set_threshold(NEW_OBJECTS)
    _alarms.install()


def _score_part(part: ScoringPart) -> PartScores:
    """Score one part, in a process of the pool."""
    return score_part(_tasks[part.task], part, _alarms)


def _join(scores: TaskScores, part: PartScores) -> None:
    for name, values in part.metrics.items():
        scores.metrics.setdefault(name, []).extend(values)
    scores.timed_out += part.timed_out
    scores.unusable += part.unusable
    if part.questions:
        is_first, scores.count = scores.count == 0, scores.count + len(part.questions)
        scores.graded = part.graded if is_first else _joined(scores.graded, part.graded)


def _joined(first: TaskAnswers | None, second: TaskAnswers | None) -> TaskAnswers | None:
    """The graded questions of both; None if some are missing."""
    if first is None or second is None:
        return None
    return TaskAnswers(
        np.concatenate((first.clusters, second.clusters)),
        np.concatenate((first.strata, second.strata)),
        np.concatenate((first.sums, second.sums)),
        np.concatenate((first.counts, second.counts)),
    )


def _join_samples(parts: Iterable[ScoringPart]) -> None:
    """Join the files of the parts of each task in order."""
    by_task = dict[str, list[Path]]()
    for part in parts:
        if part.samples is not None:
            by_task.setdefault(part.task, []).append(part.samples)
    for task, files in by_task.items():
        with (files[0].parent / f"{task}.jsonl").open("wb") as joined:
            for file in files:
                joined.write(file.read_bytes())
                file.unlink()
