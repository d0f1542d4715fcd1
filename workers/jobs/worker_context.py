"""The context that a worker passes to the jobs that it runs."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from leaderboard.boards import Board
from leaderboard.suites import Suite
from redis_state.jobs import EvaluationJob
from workers.common.devices import Device
from workers.common.run_plan import RunPlan
from workers.errors import SuiteDiffers
from workers.evaluation import machine
from workers.evaluation.task_requirements import own_nltk_folders
from workers.jobs.provisions import HubGateway
from workers.sandbox.sandbox_spec import SandboxSpec
from workers.sandbox.slots import Slot
from workers.sandbox.zygote_client import ZygoteClient
from workers.settings import WorkerSettings


@dataclass(frozen=True)
class WorkerContext:
    """Settings and resources that a worker's jobs share. `stopping` returns whether the worker was asked to stop."""

    settings: WorkerSettings
    board: Board
    suite: Suite
    zygote_client: ZygoteClient
    slot: Slot
    hub_gateway: HubGateway
    worker: str
    stopping: Callable[[], bool] = lambda: False
    seconds: float | None = None
    versions: dict[str, str] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    hardware: str = ""
    secrets: tuple[str, ...] = ()
    account: str = ""
    """The Hub account of the worker's token; "" if it is unknown, or the board has no rules for workers."""

    @property
    def own_user(self) -> bool:
        """Whether children run as the slot's own user; known once the zygote is ready."""
        report = self.zygote_client.ready
        return report is not None and report.mode.own_user

    def check_suite(self, job: EvaluationJob) -> None:
        """Raises SuiteDiffers if `job` names another suite, or another version of it, than this worker has."""
        if (self.suite.name, self.suite.digest) != (job.suite, job.suite_digest):
            raise SuiteDiffers(
                f"the job asks for the suite {job.suite} {job.suite_digest[:12]}; "
                f"this worker has {self.suite.name} {self.suite.digest[:12]}"
            )

    def sandbox_spec(self, plan: RunPlan) -> SandboxSpec:
        """The sandbox of the child that runs `plan`."""
        folders = (plan.model_path, plan.base_path, plan.datasets, plan.task_folder, *own_nltk_folders())
        readable = tuple(folder for folder in folders if folder is not None)
        return SandboxSpec(
            home=self.slot.home,
            root=self.slot.root,
            readable=readable,
            programs=plan.evaluator.folders if plan.evaluator is not None else (),
            writable=(plan.spool,),
            uid=self.slot.uid,
            gpus=machine.device_files(self.devices) if plan.device != "cpu" else (),
            memory_bytes=plan.limits.memory_bytes,
            max_file_bytes=self.settings.max_file_bytes,
            max_processes=self.settings.max_processes,
        )


WORKER_CONTEXT: ContextVar[WorkerContext] = ContextVar("worker_context")
"""RQ calls `workers.jobs.evaluate` by name, with the message alone; this variable passes the rest."""
