"""A worker's sandbox for the evaluator of a suite, without a queue or a Hub: for trials, and for rescoring."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workers.common import kernel
from workers.common.devices import Device
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan, RunProgress
from workers.evaluation import machine
from workers.sandbox.sandbox_spec import SandboxSpec
from workers.sandbox.slots import Slot, take_slot
from workers.sandbox.supervision import ChildCallbacks, ChildExit, ChildSupervisor
from workers.sandbox.zygote_client import ZygoteClient

DISK_BYTES = 1 << 30


@dataclass(frozen=True)
class EvaluatorSandbox:
    """A slot and a zygote that imports no harness."""

    slot: Slot
    zygote_client: ZygoteClient
    devices: tuple[Device, ...] = ()

    @classmethod
    @contextmanager
    def opened(cls, folder: Path, devices: tuple[Device, ...] = ()) -> Iterator[EvaluatorSandbox]:
        """A sandbox in `folder`, which is empty, with these GPUs. Raises ZygoteBroken."""
        kernel.adopt_orphans()
        slot = take_slot(folder.resolve(), first_uid=61_184)
        slot.prepare()
        gpus = machine.device_files(devices) if devices else ()
        spec = SandboxSpec(home=slot.home, root=slot.root, uid=slot.uid, gpus=gpus)
        zygote_client = ZygoteClient(spec, harness="workers.evaluation.evaluate", devices=devices)
        zygote_client.start()
        try:
            zygote_client.wait_until_ready()
            yield cls(slot, zygote_client, devices)
        finally:
            zygote_client.stop()

    def run(self, plan: RunPlan, log: BoundedLog, report: Callable[[RunProgress], None]) -> ChildExit:
        """Run the evaluator of `plan`, whose spool is the slot's and is emptied first, within the plan's limits."""
        ready = self.zygote_client.ready
        self.slot.prepare(own_user=ready is not None and ready.mode.own_user)
        callbacks = ChildCallbacks(report=report, stop=lambda: "", log=log)
        supervisor = ChildSupervisor(self.zygote_client, self._sandbox_spec(plan), plan, callbacks)
        return supervisor.run(self.slot.attempt, deadline=time.monotonic() + plan.limits.max_seconds)

    def _sandbox_spec(self, plan: RunPlan) -> SandboxSpec:
        assert plan.evaluator is not None
        read = (plan.model_path, plan.base_path, plan.datasets) if plan.stored is None else (plan.stored,)
        return SandboxSpec(
            home=self.slot.home,
            root=self.slot.root,
            readable=tuple(folder for folder in read if folder is not None),
            programs=plan.evaluator.folders,
            writable=(plan.spool,),
            uid=self.slot.uid,
            gpus=machine.device_files(self.devices) if plan.device != "cpu" else (),
            memory_bytes=plan.limits.memory_bytes,
            max_file_bytes=plan.limits.spool_bytes or DISK_BYTES,
        )
