"""Runs trials in the strongest isolation that this process can set up, and prints their observations.

    python isolation_script.py {folder} {port} {machine | container} {MiB of memory} {trial} …

As `container`, this process first gives up namespaces and mounts, which a plain container does not grant.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path

from workers.common import kernel
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunLimits, RunPlan
from workers.sandbox import seccomp
from workers.sandbox.sandbox_spec import SandboxSpec
from workers.sandbox.slots import Slot, take_slot
from workers.sandbox.supervision import ChildCallbacks, ChildSupervisor
from workers.sandbox.zygote_client import ZygoteClient


def main(folder: Path, port: str, kind: str, memory: int, trials: list[str]) -> None:
    """Run the trials, and print for each a JSON object: the mode, how the child ended, what it saw, and its log."""
    if kind == "container":
        kernel.forbid_privilege_gain()
        kernel.set_seccomp_filter(seccomp.program(sockets=True))
    slot, other = take_slot(folder / "work", first_uid=61_184), take_slot(folder / "work", first_uid=61_184)
    other.prepare()
    (other.spool / "results.json").write_text("of another attempt")
    slot.prepare()
    kernel.hide_from_same_user()
    model = folder / "model"
    (model / "blobs").mkdir(parents=True)
    (model / "snapshot").mkdir()
    (model / "blobs" / "x").write_text("weights")
    (model / "snapshot" / "weights").symlink_to("../blobs/x")
    zygote_client = ZygoteClient(SandboxSpec(home=slot.home, root=slot.root, uid=slot.uid), harness="trial_harness")
    zygote_client.start()
    try:
        zygote_client.wait_until_ready()
        for trial in trials:
            print(json.dumps(run(zygote_client, slot, folder, port, memory, trial), default=dataclasses.asdict))
    finally:
        zygote_client.stop()


def run(zygote_client: ZygoteClient, slot: Slot, folder: Path, port: str, memory: int, trial: str) -> dict[str, object]:
    """Run one trial."""
    assert zygote_client.ready is not None
    slot.prepare(own_user=zygote_client.ready.mode.own_user)
    plan = RunPlan(
        attempt=f"{'0' * 12}-{'0' * 8}-1",
        model=f"trial/{trial}",
        revision="0" * 40,
        model_path=folder / "model" / "snapshot",
        tasks=(f"port{port}",),
        datasets=folder,
        spool=slot.spool,
        suite="starter",
        suite_digest="0" * 64,
        limits=RunLimits(memory_bytes=memory),
    )
    sandbox_spec = SandboxSpec(
        home=slot.home,
        root=slot.root,
        uid=slot.uid,
        readable=(plan.model_path,),
        writable=(slot.spool,),
        memory_bytes=memory,
    )
    log, most = BoundedLog(), [0]
    callbacks = ChildCallbacks(lambda progress: most.append(progress.done), lambda: "", log)
    ending = ChildSupervisor(zygote_client, sandbox_spec, plan, callbacks).run(
        slot.attempt, deadline=time.monotonic() + 300
    )
    results = slot.spool / "results.json"
    seen = json.loads(results.read_text()) if ending.finished else {}
    mode, ending = zygote_client.ready.mode.model_dump(), dataclasses.replace(ending, error=None)
    return {"mode": mode, "ending": ending, "seen": seen, "most": max(most), "log": log.text()}


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]) << 20, sys.argv[5:])
