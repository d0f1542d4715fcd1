"""Tries a suite on this machine, and reports every mistake in it: `steward suite check`.

The datasets are downloaded as a worker downloads them, and the tiny model of the canary answers one question of each
task in a worker's sandbox. If that fails, each task is asked by itself, so that one mistake does not hide the next.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from leaderboard.boards import Board
from leaderboard.evidence import decisive_lines
from leaderboard.scores import problems
from leaderboard.suite_questions import Dataset
from leaderboard.suites import Benchmark, Suite
from redis_state.jobs import EvaluationJob
from workers.common import kernel
from workers.common.logs import BoundedLog
from workers.errors import DatasetUnavailable
from workers.jobs.canary import NAME, REVISION, canary_plan, ensure_canary_model
from workers.jobs.evaluator_check import EvaluatorFinding as Finding
from workers.jobs.planning import plan_of
from workers.jobs.provisions import Provisions
from workers.jobs.recorded_attempt import CannotVerify, RunFailed
from workers.jobs.verification import run_again
from workers.jobs.worker import open_worker_context
from workers.jobs.worker_context import WorkerContext
from workers.models.downloads import SuiteQuestions, fetch_datasets
from workers.settings import WorkerSettings

NO_QUESTIONS = "no question is asked: the datasets are not there"
NO_RESULTS = "its tasks gave no results"
UNKNOWN_TASK = "lm-eval has no task or group of this name"
UNKNOWN_METRIC = "lm-eval has no metric of this name"
MAYBE = "; did you mean {names}?"


@dataclass(frozen=True)
class SuiteCheck:
    """The check of one suite. `board` is the one that the suite is for, which may have copies of the datasets."""

    settings: WorkerSettings
    board: Board
    suite: Suite
    seconds: float

    def findings(self) -> Iterator[Finding]:
        """All findings about names, datasets, tasks and benchmarks. Raises WorkerError, OSError."""
        wrong_names = list(self._wrong_names())
        yield from wrong_names
        questions = yield from self._datasets()
        if self.suite.predictions is not None:
            return  # the bot scores them, and asks no model
        if questions is None:
            yield Finding("tasks", None, NO_QUESTIONS)
            return
        with self._opened() as worker_context:
            yield from self._tasks(worker_context, questions, {finding.title for finding in wrong_names})

    def _wrong_names(self) -> Iterator[Finding]:
        """A finding for each task that lm-eval does not have, or for each metric, where the suite defines its tasks."""
        suite = self.suite
        if suite.evaluator is not None or suite.predictions is not None:
            return
        if suite.own:
            import lm_eval.api.metrics  # noqa: F401  # it fills the registry
            from lm_eval.api.registry import metric_registry

            metrics = {metric.partition(",")[0] for benchmark in suite.benchmarks for metric in benchmark.metrics}
            yield from _unknown("metric", metrics, set(metric_registry), UNKNOWN_METRIC)
        else:
            from lm_eval.tasks import TaskManager

            from workers.evaluation.task_loading import task_folders

            tasks = {*suite.run, *suite.tasks, *(benchmark.source for benchmark in suite.benchmarks)}
            folders = task_folders(suite.run, None)  # else all its tasks are read, which takes longer
            known = TaskManager(include_path=folders, include_defaults=not folders).all_tasks
            yield from _unknown("task", tasks, set(known), UNKNOWN_TASK)

    def _datasets(self) -> Generator[Finding, None, SuiteQuestions | None]:
        """A finding for each dataset; returns the questions of those that are there, None if none is."""
        datasets = self.suite.datasets
        try:
            questions = self._fetch(*datasets)
        except DatasetUnavailable:
            problems_of = {source: self._problem(source) for source in datasets}
            there = [source for source, problem in problems_of.items() if not problem]
            yield from (Finding(f"dataset {source.repo}", not words, words) for source, words in problems_of.items())
            return self._fetch(*there) if there else None
        for source in datasets:
            copy = questions.moved.get(source.repo, source.repo)
            yield Finding(f"dataset {source.repo}", True, f"commit {questions.revisions[copy]}")
        return questions

    def _problem(self, source: Dataset) -> str:
        """Why the questions of `source` cannot be downloaded, for each config that cannot; "" if they can."""
        reasons = dict[str, str]()
        for config in source.configs or ("",):
            try:
                self._fetch(source.model_copy(update={"configs": (config,)}) if config else source)
            except DatasetUnavailable as error:
                reasons[config] = str(error)
        if len(set(reasons.values())) == 1 and len(reasons) == len(source.configs):
            return next(iter(reasons.values()))
        return "; ".join(f"{config}: {reason}" if config else reason for config, reason in reasons.items())

    def _fetch(self, *sources: Dataset) -> SuiteQuestions:
        suite = self.suite.model_copy(update={"datasets": sources})
        folder = self.settings.work_dir.resolve() / "datasets"
        return fetch_datasets(suite, self.settings.access(), folder, self.board.questions)

    @contextmanager
    def _opened(self) -> Iterator[WorkerContext]:
        """A worker without a queue, with a slot of its own. Raises WorkerError."""
        kernel.adopt_orphans()
        with tempfile.TemporaryDirectory(prefix="steward-suite-") as folder:
            settings = self.settings.model_copy(update={"work_dir": Path(folder)})
            with open_worker_context(settings, served=(self.board, self.suite)) as worker_context:
                worker_context.zygote_client.start()
                worker_context.zygote_client.wait_until_ready()
                yield worker_context

    def _tasks(
        self, worker_context: WorkerContext, questions: SuiteQuestions, wrong_names: set[str]
    ) -> Iterator[Finding]:
        """Ask one question of each task: of all at once, and of each by itself if that fails."""
        suite, results = self.suite, dict[str, Any]()
        failed = bool(wrong_names)
        if not failed:
            try:
                results.update(self._ask(worker_context, questions, ()))
                yield Finding("tasks", True, f"one question of each was asked: {', '.join(suite.run or suite.tasks)}")
            except CannotVerify as error:
                failed = True
                if suite.evaluator is not None:  # it runs all tasks or none
                    yield _failure("tasks", error)
        for task in (suite.tasks if suite.own else suite.run) if failed else ():
            benchmark = suite.benchmark_of(task)
            metrics = benchmark.metrics if benchmark is not None else ()
            if not wrong_names & {f"task {task}", *(f"metric {metric.partition(',')[0]}" for metric in metrics)}:
                yield self._task(worker_context, questions, task, results)
        for benchmark in suite.benchmarks:
            yield self._benchmark(benchmark, results, failed=failed)

    def _benchmark(self, benchmark: Benchmark, results: Mapping[str, Any], *, failed: bool) -> Finding:
        """Whether the results have every metric of `benchmark`; not checked if one of its tasks `failed`."""
        title, tasks = f"benchmark {benchmark.name}", [task.name for task in benchmark.tasks]
        if failed and not set(tasks) <= results.keys():
            return Finding(title, None, NO_RESULTS)
        if failed and benchmark.source in {*self.suite.run} - results.keys():  # a group, whose tasks were asked singly
            benchmark = benchmark.model_copy(update={"source": tasks[0]})
        wrong = problems(results, benchmark)
        return Finding(title, not wrong, "; ".join(wrong))

    def _task(
        self, worker_context: WorkerContext, questions: SuiteQuestions, task: str, results: dict[str, Any]
    ) -> Finding:
        try:
            results.update(self._ask(worker_context, questions, (task,)))
        except CannotVerify as error:
            return _failure(f"task {task}", error)
        return Finding(f"task {task}", True, "one question was asked")

    def _ask(
        self, worker_context: WorkerContext, questions: SuiteQuestions, tasks: tuple[str, ...]
    ) -> Mapping[str, Any]:
        """The results of one question of each of `tasks`; of all tasks for none. Raises CannotVerify."""
        folder = ensure_canary_model(worker_context.settings.work_dir.resolve() / "canary")
        worker_context.slot.prepare(own_user=worker_context.own_user)
        job = EvaluationJob(
            board=self.board.name,
            attempt=f"{'0' * 12}-{REVISION[:8]}-1",
            path="suite-check",
            model=NAME,
            revision=REVISION,
            precision="float32",
            weight_type="Original",
            suite=self.suite.name,
            suite_digest=self.suite.digest,
        )
        plan = plan_of(worker_context, job, Provisions(folder, questions), seconds=self.seconds, engine="harness")
        plan = canary_plan(plan, folder).model_copy(update={"limit": 1, "tasks": tasks or plan.tasks})
        log = BoundedLog()
        try:
            results: Mapping[str, Any] = run_again(worker_context, plan, log, self.seconds)["results"]
        except CannotVerify as error:
            error.add_note("\n".join(decisive_lines(log.text())))
            raise
        return results


def _unknown(kind: str, names: set[str], known: set[str], words: str) -> Iterator[Finding]:
    for name in sorted(names - known):
        similar = get_close_matches(name, sorted(known), n=3)
        yield Finding(f"{kind} {name}", False, words + (MAYBE.format(names=", ".join(similar)) if similar else ""))


def _failure(title: str, error: CannotVerify) -> Finding:
    words = f"{error.cause}: {error.detail}" if isinstance(error, RunFailed) else str(error)
    return Finding(title, False, words, tuple(line for note in error.__notes__ for line in note.splitlines()))
