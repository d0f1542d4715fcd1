"""What a worker lends to the jobs that it runs."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field

from leaderboard.boards import Board
from leaderboard.suites import Suite
from workers.common.devices import Device
from workers.common.run_plan import RunPlan
from workers.evaluation import machine
from workers.evaluation.task_requirements import own_nltk_folders
from workers.jobs.provisions import HubGateway
from workers.jobs.slots import Slot
from workers.sandbox.sandbox_spec import SandboxSpec
from workers.sandbox.zygote_client import ZygoteClient
from workers.settings import WorkerSettings


@dataclass(frozen=True)
class WorkerContext:
    """What a worker lends to the jobs that it runs. `stopping` says whether the worker itself is to stop."""

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

    @property
    def own_user(self) -> bool:
        """Whether children run as the slot's own user; known once there was a zygote."""
        ready = self.zygote_client.ready
        return ready is not None and ready.mode.own_user

    def sandbox_spec(self, plan: RunPlan) -> SandboxSpec:
        """The walls around the child of `plan`."""
        shown = (plan.model_path, plan.base_path, plan.datasets, plan.task_folder, *own_nltk_folders())
        readable = tuple(folder for folder in shown if folder is not None)
        return SandboxSpec(
            home=self.slot.home,
            root=self.slot.root,
            readable=readable,
            writable=(plan.spool,),
            uid=self.slot.uid,
            gpus=machine.device_files(self.devices) if plan.device != "cpu" else (),
            memory_bytes=plan.limits.memory_bytes,
            max_file_bytes=self.settings.max_file_bytes,
            max_processes=self.settings.max_processes,
        )


WORKER_CONTEXT: ContextVar[WorkerContext] = ContextVar("bench")
"""RQ calls `workers.jobs.evaluate` by its name, with the message alone: the rest comes this way."""
