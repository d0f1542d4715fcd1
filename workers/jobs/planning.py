"""Makes the run plan of a child from the job, the downloaded files and the machine."""

from __future__ import annotations

from pathlib import Path

from leaderboard.engines import EngineName
from leaderboard.evidence import FailureEvidence
from leaderboard.suites import Suite
from redis_state.jobs import EvaluationJob
from workers.common.diagnosis import diagnose
from workers.common.run_plan import RunLimits, RunPlan
from workers.evaluation import machine
from workers.evaluation.evaluator_command import evaluator_command
from workers.evaluation.model_requirements import estimate_requirements, weight_type
from workers.evaluation.placement import MachineCapacity, choose_placement, smaller_batch_size
from workers.evaluation.task_files import write_tasks
from workers.jobs.provisions import Provisions
from workers.jobs.worker_context import WorkerContext

OUT_OF_MEMORY = ("gpu-out-of-memory", "out-of-memory", "killed-by-kernel")
MEMORY_SHARE = 0.9
"""The share of the machine's memory that a child may hold by default."""
COMPUTING_PHASES = ("prepare", "evaluate")
"""Phases in which a smaller batch needs less memory."""


def plan_of(
    worker_context: WorkerContext,
    job: EvaluationJob,
    provisions: Provisions,
    *,
    seconds: float,
    batch_size: int | None = None,
    engine: EngineName | None = None,
) -> RunPlan:
    """The plan for `job` with a time limit of `seconds` and at most `batch_size` questions at once.

    Without `engine` the suite's is used, or else the board's.
    Raises ModelTooLarge, NotQuantised or NoQuantiser if this machine cannot run it.
    """
    suite = worker_context.suite
    memory_bytes = worker_context.settings.memory_bytes or int(machine.memory_bytes() * MEMORY_SHARE)
    placement = choose_placement(
        estimate_requirements(job, provisions.model, provisions.base),
        _machine(worker_context, memory_bytes),
        batch_size=batch_size or worker_context.settings.batch_size,
    )
    return RunPlan(
        attempt=job.attempt,
        model=job.model,
        revision=job.revision,
        model_path=provisions.model,
        weight_type=weight_type(job),
        base_model=job.base_model if provisions.base else "",
        base_revision=provisions.base_revision,
        base_path=provisions.base,
        dtype=placement.dtype,
        quantisation=placement.quantisation,
        device=placement.device,
        spread=placement.spread,
        copies=placement.copies,
        batch_size=placement.batch_size,
        engine=engine or suite.engine or worker_context.board.engine,
        evaluator=evaluator_command(suite),
        tasks=suite.run or suite.tasks,
        task_folder=_task_folder(worker_context, provisions),
        datasets=provisions.questions.folder,
        moved=provisions.questions.moved,
        revisions=provisions.questions.revisions,
        use_chat_template=job.use_chat_template,
        shots={} if suite.own else suite.shots,
        withdrawn=_withdrawn(suite),
        limits=_limits(worker_context, memory_bytes, seconds),
        spool=worker_context.slot.spool,
        suite=suite.name,
        suite_digest=suite.digest,
    )


def _withdrawn(suite: Suite) -> dict[str, tuple[int, ...]]:
    questions = {task: tuple(sorted(suite.withdrawn(task))) for task in suite.tasks}
    return {task: numbers for task, numbers in questions.items() if numbers}


def _limits(worker_context: WorkerContext, memory: int, seconds: float) -> RunLimits:
    return RunLimits(
        max_seconds=max(1.0, seconds),
        stall_seconds=worker_context.settings.stall_seconds,
        memory_bytes=memory,
        spool_bytes=worker_context.settings.spool_bytes,
    )


def _machine(worker_context: WorkerContext, memory: int) -> MachineCapacity:
    """The capacity for one attempt; one device if there are no namespaces, as copies then have no private network."""
    devices = worker_context.devices
    zygote_report = worker_context.zygote_client.ready
    if zygote_report is not None and zygote_report.mode.namespaces == "none":
        devices = devices[:1]
    return machine.machine_capacity(devices, memory)


def _task_folder(worker_context: WorkerContext, provisions: Provisions) -> Path | None:
    if not worker_context.suite.own:
        return None
    ((repo, revision),) = provisions.questions.revisions.items()
    return write_tasks(worker_context.suite, worker_context.slot.attempt / "tasks", repo=repo, revision=revision)


def smaller_batch(evidence: FailureEvidence, plan: RunPlan) -> int | None:
    """The batch size to retry with after the child ran out of memory; None if a smaller one would not help.

    1 again after the shared-prefix engine ran out of memory with 1: the harness's way needs less.
    """
    cause = diagnose(evidence).cause
    if evidence.phase not in COMPUTING_PHASES or cause not in OUT_OF_MEMORY:
        return None
    shares = plan.evaluator is None and plan.engine != "harness"
    if plan.batch_size == 1 and shares and cause != "killed-by-kernel":
        return 1
    return smaller_batch_size(plan.batch_size)
