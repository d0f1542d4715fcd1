"""Runs the trial `looking` in the strongest isolation that this process can set up, and prints its observations.

    python isolation_script.py {folder} {port} {machine | container}

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
from workers.jobs.slots import take_slot
from workers.sandbox import seccomp
from workers.sandbox.sandbox_spec import SandboxSpec
from workers.sandbox.supervision import ChildCallbacks, ChildSupervisor
from workers.sandbox.zygote_client import ZygoteClient

MEMORY = 1 << 30


def main(folder: Path, port: str, kind: str) -> None:
    """Run the trial, and print one JSON object: the mode, how the child ended, its observations, and its log."""
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
        assert zygote_client.ready is not None
        slot.prepare(own_user=zygote_client.ready.mode.own_user)
        plan = RunPlan(
            attempt=f"{'0' * 12}-{'0' * 8}-1",
            model="trial/looking",
            revision="0" * 40,
            model_path=model / "snapshot",
            tasks=(f"port{port}",),
            datasets=folder,
            spool=slot.spool,
            suite="starter",
            suite_digest="0" * 64,
            limits=RunLimits(memory_bytes=MEMORY),
        )
        readable = (plan.model_path,)
        sandbox_spec = SandboxSpec(
            home=slot.home, root=slot.root, uid=slot.uid, readable=readable, writable=(slot.spool,), memory_bytes=MEMORY
        )
        log = BoundedLog()
        callbacks = ChildCallbacks(lambda _: None, lambda: "", log)
        ending = ChildSupervisor(zygote_client, sandbox_spec, plan, callbacks).run(
            slot.attempt, deadline=time.monotonic() + 60
        )
        results = slot.spool / "results.json"
        seen = json.loads(results.read_text()) if ending.finished else {}
        mode = zygote_client.ready.mode.model_dump()
        answer = {"mode": mode, "ending": dataclasses.replace(ending, error=None), "seen": seen, "log": log.text()}
        print(json.dumps(answer, default=dataclasses.asdict))
    finally:
        zygote_client.stop()


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
