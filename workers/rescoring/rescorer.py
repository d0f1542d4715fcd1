"""Scores the stored answers of evaluations again, on all cores: from tables of answers to a results file.

All answers of one task count or none: an answer that cannot be scored ends the rescoring of its evaluation, and is
named. A question whose metric ran out of time is scored once more when nothing else runs; if it runs out of time again,
the harness's value for that counts, as in an evaluation, and the results file names the question.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib import metadata
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lm_eval.evaluator_utils import _process_results
from lm_eval.utils import handle_non_serializable
from pydantic import ValidationError

from leaderboard.comparability import DigestParts, ResultDigests, ScoredParts, TaskDigests, combine
from leaderboard.results import (
    BLOCK,
    BadResults,
    RescoredFrom,
    StewardBlock,
    dump,
    errors_in_block,
    parse_harness,
    score,
    scores_in_block,
    with_block,
)
from leaderboard.suites import Benchmark, Suite
from leaderboard.uncertainty import TaskAnswers, standard_errors
from workers.common import kernel
from workers.errors import RescoringRefused
from workers.evaluation.digests import scored_parts
from workers.evaluation.shared_prefix.templates import compile_templates_once
from workers.evaluation.task_files import write_tasks
from workers.evaluation.task_loading import seed_language_detection
from workers.rescoring.scoring import AlarmWatch, PartScores, ScoringPart, score_part
from workers.rescoring.stored_answers import AnswersTable, UnusableAnswer, open_table
from workers.rescoring.stored_tasks import (
    ASKED,
    asked_differently,
    filters_are_independent,
    load_tasks,
    prompts_differ,
    questions_differ,
)

BOOTSTRAP_ITERATIONS = 100_000
"""As the harness itself computes its standard errors."""
ROW_GROUPS = 4
"""Row groups of a part: about two thousand answers, or fewer long ones."""
TEXTS = 50
"""Generated answers of a part: MATH's metrics take about ten milliseconds for each, and some a second."""
_ANY_COMMIT = "0" * 40
"""In task files from which no questions are loaded."""
MAX_REASONS = 5
"""Reasons that a refusal names."""
NEW_OBJECTS = 200_000
"""New objects after which Python searches for garbage. Its default is 700, and the searches take a third of the time
while many answers are in memory."""
PACKAGES = ("lm-eval", "math-verify", "sympy", "antlr4-python3-runtime", "langdetect", "nltk", "numpy")
"""The packages that compute scores."""

_tasks: dict[str, Any] = {}
"""The harness's tasks, for the processes that are forked after they were made."""
_alarms = AlarmWatch()


@dataclass(frozen=True)
class RescoredEvaluation:
    """The results file of an evaluation with the scores of another suite. `answers` is the number of scored answers,
    `scored` the digest of what scored them; "" if the evaluation has no digests."""

    data: bytes
    answers: int
    scored: str
    timed_out: tuple[str, ...] = ()


@dataclass
class TaskScores:
    """The joined scores of all parts of one task."""

    metrics: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    graded: TaskAnswers | None = None
    timed_out: list[int] = field(default_factory=list)
    unusable: list[UnusableAnswer] = field(default_factory=list)
    count: int = 0


class Rescorer:
    """Scores answers again for `suite` in several processes. A context manager: it ends them.

    `task_folder` holds other task files than those of the suite or the harness.
    """

    def __init__(self, suite: Suite, processes: int, task_folder: Path | None = None) -> None:
        self.suite = suite
        self.processes = processes
        self.task_folder = task_folder
        self._folder = ExitStack()
        self._loaded: dict[str, Any] = {}
        self._scored: dict[str, tuple[ScoredParts, dict[str, str], dict[str, str]]] = {}
        self._firsts: dict[str, Mapping[str, Any]] = {}
        self._stack = ExitStack()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Rescorer:
        compile_templates_once()
        seed_language_detection()
        if self.suite.own and self.task_folder is None:
            folder = Path(self._folder.enter_context(TemporaryDirectory(prefix="steward-tasks-")))
            repo = self.suite.datasets[0].repo
            self.task_folder = write_tasks(self.suite, folder, repo=repo, revision=_ANY_COMMIT)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()
        self._folder.close()

    def rescore(
        self, results: bytes, tables: Path, *, source: str, at: str, samples: Path | None = None
    ) -> RescoredEvaluation:
        """Score the answers in `tables` (a file `{task}.parquet` for each task) of the evaluation with these results.

        `source` is the path of its results file in the results repo, `at` the time. With `samples`, each question's
        metrics are written to `{task}.jsonl` in that folder. Raises RescoringRefused.
        """
        harness, block = _read(results)
        if block.evaluator is not None:
            raise RescoringRefused(
                f"{block.evaluator.name} evaluated it: only answers that lm-eval scored are scored again"
            )
        opened = self._open(tables)
        self._check_counts(opened, harness)
        self._load(opened)
        self._check_asked(harness, block, opened)
        scored = self._score(opened, samples)
        _check_usable(scored)
        collected = self._aggregate(scored, opened)
        timed_out = tuple(f"{task}:{number}" for task, scores in scored.items() for number in sorted(scores.timed_out))
        origin = _origin(block, source, at, timed_out)
        graded, digests = {task: each.graded for task, each in scored.items()}, self._digests(block.digests)
        data = self._results_file(harness, block, digests, collected, graded, origin)
        count = sum(each.count for each in scored.values())
        return RescoredEvaluation(data, count, digests.scored if digests is not None else "", timed_out)

    # --- before

    def _open(self, tables: Path) -> dict[str, AnswersTable]:
        """Look at the table of each task; in the processes, if they have started."""
        names = self.suite.tasks
        paths = [tables / f"{task}.parquet" for task in names]
        opened = map(open_table, paths, names) if self._pool is None else self._pool.map(open_table, paths, names)
        return dict(zip(names, opened, strict=True))

    def _check_counts(self, tables: Mapping[str, AnswersTable], harness: Mapping[str, Any]) -> None:
        """Raise RescoringRefused if a table lacks answers, or one that the suite withdraws was not asked."""
        counts = harness.get("n-samples")
        for task, table in tables.items():
            count = counts.get(task) if isinstance(counts, Mapping) else None
            expected = count.get("original") if isinstance(count, Mapping) else None
            if expected is not None and expected != len(table.questions):
                raise RescoringRefused(
                    f"{len(table.questions):,} answers to {task} are stored, and {expected:,} questions were asked"
                )
            if missing := self.suite.withdrawn(task) - set(table.questions):
                raise RescoringRefused(f"the suite withdraws question {min(missing)} of {task}, which was not asked")

    def _load(self, tables: Mapping[str, AnswersTable]) -> None:
        """Make the tasks and start the processes; keep those of the last evaluation if its questions are the same."""
        firsts = {task: table.first for task, table in tables.items()}
        if firsts == self._firsts and self._pool is not None:
            for task, table in tables.items():
                self._loaded["tasks"][task].take(table)
            return
        self._stack.close()
        self._pool, self._firsts = None, {}
        self._loaded = load_tasks(self.suite, tables, self.task_folder)
        self._scored = {name: scored_parts(task) for name, task in self._loaded["tasks"].items()}
        _tasks.clear()
        _tasks.update(self._loaded["tasks"])
        self._firsts = firsts

    def _check_asked(self, harness: Mapping[str, Any], block: StewardBlock, tables: Mapping[str, AnswersTable]) -> None:
        """Raise RescoringRefused if the suite asks other questions, or asks them in another way."""
        configs, digests = harness.get("configs"), block.digests
        if digests is not None and set(digests.tasks) != set(self._loaded["tasks"]):
            raise RescoringRefused("the suite scores other tasks than the evaluation answered")
        reasons = asked_differently(configs if isinstance(configs, Mapping) else {}, self._loaded["tasks"], self.suite)
        reasons += questions_differ(block.datasets, self.suite)
        if not block.use_chat_template:  # a template may change the words
            reasons += prompts_differ(tables, self._loaded["tasks"])
        if reasons:
            raise RescoringRefused(f"the suite asks otherwise than the evaluation did: {_listed(reasons)}")

    # --- scoring

    def _score(self, tables: Mapping[str, AnswersTable], samples: Path | None) -> dict[str, TaskScores]:
        """The scores of all tasks."""
        parts = list(self._parts(tables, samples))
        try:
            done = dict(self._run(enumerate(parts)))
            self._score_alone(parts, done)
        except BrokenProcessPool as error:
            self._stack.close()
            self._pool = None
            raise RescoringRefused("a process ended while it scored; it may have had too little memory") from error
        scored = {task: TaskScores() for task in tables}
        for number, part in enumerate(parts):
            _join(scored[part.task], done[number])
        if samples is not None:
            _join_samples(parts)
        return scored

    def _parts(self, tables: Mapping[str, AnswersTable], samples: Path | None) -> Iterator[ScoringPart]:
        """The parts, those of generated answers first: each takes long, and the processes should end together."""
        for benchmark in sorted(self.suite.benchmarks, key=lambda benchmark: not benchmark.generative):
            for task in benchmark.tasks:
                yield from self._parts_of(task.name, benchmark, tables[task.name], samples)

    def _parts_of(
        self, task: str, benchmark: Benchmark, table: AnswersTable, samples: Path | None
    ) -> Iterator[ScoringPart]:
        is_whole = not filters_are_independent(self._loaded["tasks"][task])
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
                    # Rare: score the whole part again, so that all that follows from it is of one piece.
                    done[number] = self._processes().submit(_score_part, part).result()
                    break

    def _processes(self) -> ProcessPoolExecutor:
        """The processes, which are forked from this one when the tasks are made."""
        if self._pool is None:
            gc.collect()
            gc.freeze()  # what the processes share stays shared
            context = multiprocessing.get_context("fork")
            self._pool = ProcessPoolExecutor(
                self.processes, mp_context=context, initializer=_begin, initargs=(os.getpid(),)
            )
            self._stack.callback(self._pool.shutdown, cancel_futures=True)
        return self._pool

    # --- after

    def _aggregate(self, scored: Mapping[str, TaskScores], tables: Mapping[str, AnswersTable]) -> dict[str, Any]:
        """The harness's own aggregation of all tasks and groups."""
        tasks = self._loaded["tasks"]
        if unscored := sorted(set(tasks) - set(tables)):
            raise RescoringRefused(f"the suite scores {unscored[0]}, of which there are no answers")
        collected = _process_results(
            {
                name: {"task": task, "raw_metrics": scored[name].metrics, "logged_samples": []}
                for name, task in tasks.items()
            },
            self._loaded["groups"],
            BOOTSTRAP_ITERATIONS,
        )._to_eval_results()
        plain: dict[str, Any] = json.loads(json.dumps(collected, default=handle_non_serializable))
        return plain

    def _results_file(
        self,
        harness: Mapping[str, Any],
        block: StewardBlock,
        digests: ResultDigests | None,
        collected: Mapping[str, Any],
        graded: Mapping[str, TaskAnswers | None],
        origin: RescoredFrom,
    ) -> bytes:
        """The results file: the evaluation's, with all that follows from scoring replaced."""
        configs = {
            name: _with_metadata(config, harness["configs"][name]) for name, config in collected["configs"].items()
        }
        fields = {name: value for name, value in harness.items() if name != "groups"}
        try:
            scores = score(collected["results"], self.suite)
            errors = standard_errors(graded, scores, self.suite).normalised
            facts = {
                "suite": self.suite.name,
                "suite_digest": self.suite.digest,
                "digests": digests,
                "rescored_from": origin,
            }
            repeated = {**scores_in_block(scores), **errors_in_block(errors)}
            rescored = StewardBlock.model_validate({**block.model_dump(), **repeated, **facts})
            return dump(with_block({**fields, **collected, "configs": configs}, rescored))
        except (BadResults, ValidationError) as error:
            raise RescoringRefused(str(error)) from error

    def _digests(self, recorded: ResultDigests | None) -> ResultDigests | None:
        """The digests of the evaluation with what scores its answers here; None if it has none."""
        if recorded is None:
            return None
        modules, packages = dict[str, str](), dict[str, str]()
        tasks = dict[str, TaskDigests]()
        for name, (scored, used, versions_used) in self._scored.items():
            modules |= used
            packages |= versions_used
            tasks[name] = recorded.tasks[name].model_copy(update={"scored": scored})
        parts = DigestParts(
            tasks=tasks,
            modules=dict(sorted(modules.items())),
            versions=dict(sorted(packages.items())),
            softmax_dtype=recorded.softmax_dtype,
        )
        return combine(parts, self.suite)


def versions() -> dict[str, str]:
    """The versions of the packages that compute scores, as far as they are installed."""
    return {name: version for name in PACKAGES if (version := _version(name))}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _text_parts(table: AnswersTable) -> Iterator[tuple[int, frozenset[int]]]:
    """Row groups of a table, with some of their questions each."""
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
    """Runs in a process of the pool."""
    return score_part(_tasks[part.task], part, _alarms)


def _read(results: bytes) -> tuple[Mapping[str, Any], StewardBlock]:
    """The harness's fields and Steward's block of a results file. Raises RescoringRefused."""
    try:
        harness = parse_harness(results)
        return harness, StewardBlock.model_validate(harness.get(BLOCK))
    except BadResults as error:
        raise RescoringRefused(f"the results file is invalid: {error}") from error
    except ValidationError as error:
        raise RescoringRefused(
            "the results file has no valid block of Steward: its answers have another layout"
        ) from error


def _origin(block: StewardBlock, source: str, at: str, timed_out: Sequence[str]) -> RescoredFrom:
    """The evaluation that gave the answers: the first one, if the scores of `source` were computed again already."""
    first = block.rescored_from
    return RescoredFrom(
        results=first.results if first is not None else source,
        suite=first.suite if first is not None else block.suite,
        suite_digest=first.suite_digest if first is not None else block.suite_digest,
        at=at,
        versions=versions(),
        timed_out=tuple(timed_out[:2_000]),
    )


def _check_usable(scored: Mapping[str, TaskScores]) -> None:
    reasons = [
        f"question {answer.question} of {task}: {answer.reason}"
        for task, scores in scored.items()
        for answer in scores.unusable
    ]
    if reasons:
        raise RescoringRefused(f"not all answers can be scored: {_listed(reasons)}")


def _listed(reasons: Collection[str]) -> str:
    more = len(reasons) - MAX_REASONS
    return "; ".join(islice(reasons, MAX_REASONS)) + (f"; and {more:,} more" if more > 0 else "")


def _join(scores: TaskScores, part: PartScores) -> None:
    for name, values in part.metrics.items():
        scores.metrics.setdefault(name, []).extend(values)
    scores.timed_out += part.timed_out
    scores.unusable += part.unusable
    if part.questions:
        is_first, scores.count = scores.count == 0, scores.count + len(part.questions)
        scores.graded = part.graded if is_first else _joined(scores.graded, part.graded)


def _joined(one: TaskAnswers | None, other: TaskAnswers | None) -> TaskAnswers | None:
    """The graded questions of both; None if some are missing."""
    if one is None or other is None:
        return None
    return TaskAnswers(
        [*one.clusters, *other.clusters],
        [*one.strata, *other.strata],
        [*one.sums, *other.sums],
        [*one.counts, *other.counts],
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


def _with_metadata(config: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """A task's configuration with what the evaluation recorded of its model, questions and prompts."""
    now = {name: value for name, value in (config.get("metadata") or {}).items() if name != "config_source"}
    asked = {name: recorded[name] for name in (*ASKED, "dataset_kwargs") if name in recorded}
    return {**config, **asked, "metadata": {**(recorded.get("metadata") or {}), **now}}
