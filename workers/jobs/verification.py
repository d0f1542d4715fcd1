"""`steward verify`: runs a published evaluation again as recorded, and compares it sample by sample.

Model commit, question commits, suite and digest, precision, weight type, batch size and engine come from the results
file; the caller may choose another engine, whose answers agree within its tolerance. Software versions and hardware are
this machine's; differences from the recorded ones are reported, because they explain answers that differ. Needs no
queue, and publishes nothing.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from leaderboard.engines import EngineName
from leaderboard.results import parse_harness
from leaderboard.scores import BadResults, score
from leaderboard.steward_block import StewardBlock
from leaderboard.suites import Suite, find_suite
from workers.common import kernel
from workers.common.diagnosis import diagnose, failure_detail
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan
from workers.errors import EvaluationFailed
from workers.evaluation.evaluate import RESULTS, SAMPLES
from workers.jobs.planning import plan_of
from workers.jobs.provisions import TokenHubGateway
from workers.jobs.published_tables import PublishedTables, published_tables
from workers.jobs.recorded_attempt import (
    CannotVerify,
    RecordedAttempt,
    RunFailed,
    engine_names,
    find_details,
    gateway_as_recorded,
    read_recorded,
    recorded_job,
    version_differences,
    versions_here,
)
from workers.jobs.sample_comparison import EngineTolerance, TaskComparison, compare_task
from workers.jobs.worker import open_worker_context, token_hub_gateway
from workers.jobs.worker_context import WorkerContext
from workers.publication.evaluator_results import read_evaluator_results
from workers.sandbox.supervision import ChildCallbacks, ChildSupervisor
from workers.settings import WorkerSettings


@dataclass(frozen=True)
class Verification:
    """The result of a verification. Pairs are (published, here).

    `versions` holds the packages whose versions differ. `disagreement` says why log-likelihoods in half precision do
    not agree.
    """

    block: StewardBlock
    tasks: tuple[TaskComparison, ...]
    scores: Mapping[str, tuple[float, float]]
    versions: Mapping[str, tuple[str, str]]
    hardware: tuple[str, str]
    engines: tuple[str, str] = ("harness", "harness")
    largest_difference: float = 0.0
    disagreement: str = ""

    @property
    def equal(self) -> bool:
        """Whether every sample and every score equals the published one."""
        same_scores = all(then == now for then, now in self.scores.values())
        return same_scores and all(task.samples == task.equal for task in self.tasks)

    @property
    def agrees(self) -> bool:
        """Whether every sample agrees with the published one, and every score: the same as `equal` for one engine.

        Scores are the same digit for digit unless metrics are numbers that follow the log-likelihoods; then they are
        within what the metrics' differences explain.
        """
        metric_difference = max((task.metric_difference for task in self.tasks), default=0.0)
        bound = 200 * metric_difference  # points, where guessing gives at most a half
        same_scores = all(abs(then - now) <= bound for then, now in self.scores.values())
        same_samples = all(task.samples == task.agreeing for task in self.tasks)
        return same_scores and same_samples and not self.disagreement


def run_verification(
    settings: WorkerSettings, attempt: str, model: str = "", engine: EngineName | None = None
) -> Verification:
    """Verify `attempt` on this machine, by the recorded engine or by `engine`. Raises WorkerError.

    Without `model` the board's requests are searched.
    """
    with worker_for(settings, attempt, model) as (worker_context, hub_gateway, recorded):
        return verify(worker_context, hub_gateway, recorded, BoundedLog(), engine)


@contextmanager
def worker_for(
    settings: WorkerSettings, attempt: str, model: str = ""
) -> Iterator[tuple[WorkerContext, TokenHubGateway, RecordedAttempt]]:
    """A worker without a queue that can run `attempt` again, its gateway, and the published record of the attempt.

    Without `model` the board's requests are searched. Raises WorkerError.
    """
    kernel.hide_from_same_user()
    kernel.adopt_orphans()
    board = settings.board()
    suite = find_suite(board.suite)
    details = board.repos.details(model) if model else find_details(board, attempt, settings.access())
    recorded = read_recorded(settings.access(), details, attempt, suite)
    hub_gateway = token_hub_gateway(settings, suite, board)
    with open_worker_context(settings, hub_gateway, alone=True) as worker_context:
        worker_context.zygote_client.start()
        worker_context.zygote_client.wait_until_ready()
        yield worker_context, hub_gateway, recorded


def verify(
    worker_context: WorkerContext,
    hub_gateway: TokenHubGateway,
    recorded: RecordedAttempt,
    log: BoundedLog,
    engine: EngineName | None = None,
) -> Verification:
    """Run the attempt again on this machine and compare. Raises CannotVerify, and what `hub_gateway` raises."""
    block = recorded.block
    if engine is not None and block.evaluator is not None:
        raise CannotVerify(f"{block.evaluator.name} evaluated it, which has no engines to choose from")
    provisions = gateway_as_recorded(hub_gateway, recorded).fetch(recorded_job(block, worker_context.board))
    seconds = worker_context.settings.max_seconds or float(worker_context.board.attempt_seconds)
    worker_context.slot.prepare(own_user=worker_context.own_user)
    plan = plan_of(
        worker_context,
        recorded_job(block, worker_context.board),
        provisions,
        seconds=seconds,
        batch_size=block.batch_size,
        engine=engine or ("harness" if block.engine is None else "shared-prefix"),
    )
    harness = run_again(worker_context, plan, log, seconds)
    new_scores = score(harness["results"], worker_context.suite)
    engines = engine_names(block, harness)
    tolerance = EngineTolerance(str(harness["config"]["model_dtype"])) if engines[0] != engines[1] else None
    scores = {name: (value, new_scores.by_name[name]) for name, value in recorded.results.scores.by_name.items()}
    different_versions = version_differences(block, versions_here(worker_context, harness))
    with published_tables(worker_context, hub_gateway, recorded) as tables:
        tasks = tuple(_compare_tasks(tables, plan, worker_context.suite, tolerance))
    hardware = (block.hardware, worker_context.hardware)
    if tolerance is None:
        return Verification(block, tasks, scores, different_versions, hardware, engines)
    return Verification(
        block, tasks, scores, different_versions, hardware, engines,
        tolerance.largest_difference, tolerance.disagreement(),
    )  # fmt: skip


def run_again(worker_context: WorkerContext, plan: RunPlan, log: BoundedLog, seconds: float) -> Mapping[str, Any]:
    """Run `plan` in a child, and return its results in the form of the harness's. Raises CannotVerify."""
    callbacks = ChildCallbacks(
        report=lambda _: None, stop=lambda: "handed-back" if worker_context.stopping() else "", log=log
    )
    supervisor = ChildSupervisor(worker_context.zygote_client, worker_context.sandbox_spec(plan), plan, callbacks)
    child_exit = supervisor.run(worker_context.slot.attempt, deadline=time.monotonic() + seconds)
    if not child_exit.finished:
        evidence = child_exit.evidence(log.tail())
        raise RunFailed(diagnose(evidence).cause, failure_detail(evidence))
    try:
        if plan.evaluator is not None:
            return read_evaluator_results(plan, worker_context.suite)
        results: Mapping[str, Any] = parse_harness((plan.spool / RESULTS).read_bytes())
    except (OSError, BadResults, EvaluationFailed) as error:
        raise CannotVerify(f"this time the evaluation left no results: {error}") from error
    return results


def _compare_tasks(
    tables: PublishedTables, plan: RunPlan, suite: Suite, tolerance: EngineTolerance | None
) -> Iterator[TaskComparison]:
    for benchmark in suite.benchmarks:
        for task in benchmark.tasks:
            here = tables.rows_here(plan.spool / SAMPLES / f"{task.name}.jsonl", benchmark.metrics)
            yield compare_task(task.name, tables.rows(benchmark, task.name), here, tolerance)


def verification_json(verification: Verification) -> str:
    """The verification as one JSON object."""
    return json.dumps(
        {
            "attempt": verification.block.attempt,
            "model": verification.block.model,
            "revision": verification.block.revision,
            "equal": verification.equal,
            "agrees": verification.agrees,
            "engines": verification.engines,
            "largest_difference": verification.largest_difference,
            "disagreement": verification.disagreement,
            "tasks": [vars(task) for task in verification.tasks],
            "scores": verification.scores,
            "versions": verification.versions,
            "hardware": verification.hardware,
        }
    )
