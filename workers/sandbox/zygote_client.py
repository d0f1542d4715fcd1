"""The worker's client of the zygote: starts it with a clean environment, orders children, reads how they end.

The worker starts the zygote before it takes jobs; the process that runs a job is forked from the worker and inherits
the pipes. Only one of the two uses them at a time. A job process that dies while it writes may leave half a line in
the pipe: the worker then stops the zygote, and with it the child, and starts another zygote.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.common.devices import Device
from workers.common.run_plan import CHILD_ENVIRONMENT, NLTK_DATA
from workers.errors import WorkerError
from workers.sandbox.child import ChildOrder, ZygoteAnswer
from workers.sandbox.sandbox_spec import IsolationMode, SandboxSpec

PASSED_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "LD_LIBRARY_PATH", "STEWARD_CLOCK", NLTK_DATA)
PASSED_VARIABLE_PREFIXES = ("CUDA_", "NVIDIA_", "OMP_", "MKL_")
START_SECONDS = 600.0
"""Seconds that the zygote may take to load the harness: ten on an idle machine, minutes on a busy one."""


class ZygoteBroken(WorkerError):
    """The zygote does not start, or has ended; the message gives the reason as far as it is known."""


@dataclass(frozen=True)
class ZygoteReport:
    """The zygote's report once it is ready: isolation mode, why stronger modes failed, threads, seconds to start."""

    mode: IsolationMode
    against: tuple[str, ...]
    threads: int
    seconds: float


def zygote_environment(
    home: Path, source: Mapping[str, str], devices: Sequence[Device] | None = None
) -> dict[str, str]:
    """The zygote's whole environment: the variables of `source` that hold no secret, and its own home folder.

    Libraries in the zygote see only the GPUs in `devices`, in that order; None leaves the choice to `source`.
    """
    passed = {
        name: value
        for name, value in source.items()
        if name in PASSED_VARIABLES or name.startswith(PASSED_VARIABLE_PREFIXES)
    }
    own = {"HOME": str(home), "TMPDIR": str(home / "tmp"), "USER": "steward", "LOGNAME": "steward"}
    if devices is not None:
        own["CUDA_VISIBLE_DEVICES"] = ",".join(device.uuid for device in devices)
    return {**passed, **CHILD_ENVIRONMENT, **own}


class ZygoteClient:
    """One zygote at a time. Start it in the worker's main thread: the zygote dies with the thread that started it."""

    def __init__(
        self,
        sandbox_spec: SandboxSpec,
        *,
        harness: str,
        preload: tuple[str, ...] = (),
        devices: tuple[Device, ...] | None = None,
    ) -> None:
        self.sandbox_spec = sandbox_spec
        self.devices = devices
        self.harness = harness
        self.preload = preload
        self.ready: ZygoteReport | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._orders = -1
        self._answers = -1
        self._rest = b""
        self._number = 0

    # --- start and stop

    def start(self) -> None:
        """Start a zygote without waiting until it is ready."""
        orders, self._orders = os.pipe()
        self._answers, answers = os.pipe()
        os.set_blocking(self._answers, False)
        self._rest, self.ready = b"", None
        arguments = [
            "--parent",
            str(os.getpid()),
            "--harness",
            self.harness,
            "--sandbox-spec",
            self.sandbox_spec.model_dump_json(),
        ]
        preload = [part for module in self.preload for part in ("--preload", module)]
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-s",
                "-P",
                "-m",
                "workers.sandbox.zygote",
                *arguments,
                *preload,
                "--pipes",
                f"{orders},{answers}",
            ],
            env=zygote_environment(self.sandbox_spec.home, os.environ, self.devices),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(orders, answers),
            start_new_session=True,
            cwd="/",
        )
        os.close(orders)
        os.close(answers)

    def wait_until_ready(self, *, seconds: float = START_SECONDS, stop: Callable[[], bool] = lambda: False) -> None:
        """Return once `ready` is set or `stop()` is true. Raises ZygoteBroken if the zygote fails or takes too long."""
        deadline = time.monotonic() + seconds
        while self.ready is None and not stop():
            if time.monotonic() > deadline:
                raise ZygoteBroken(f"the zygote is not ready after {seconds:.0f} s; is this machine very busy?")
            select.select([self._answers], [], [], 0.25)
            for answer in self.read_answers():
                if "broken" in answer:
                    raise ZygoteBroken(f"the zygote cannot fork children: {answer['broken']}")
                report = answer["ready"]
                mode = IsolationMode.model_validate(report["mode"])
                self.ready = ZygoteReport(mode, tuple(report["against"]), report["threads"], report["seconds"])

    def alive(self) -> bool:
        """Whether the zygote runs; only the process that started it can ask."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Kill the zygote and wait until it has ended; the kernel kills its child with it."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        os.close(self._orders)
        os.close(self._answers)

    def give_up(self) -> None:
        """Kill the zygote from any process; the worker notices, and starts another for the next job."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """Process id of the zygote."""
        return self._process.pid if self._process else None

    # --- children

    @property
    def descriptor(self) -> int:
        """A descriptor that becomes readable when `read_answers` has answers."""
        return self._answers

    def next_number(self) -> int:
        """An order number that is not used yet."""
        self._number += 1
        return os.getpid() * 1_000 + self._number

    def order(self, order: ChildOrder) -> None:
        """Order a child. Raises ZygoteBroken if the zygote has ended."""
        self._send({"fork": order.model_dump(mode="json")})

    def kill(self, number: int) -> None:
        """Ask the zygote to kill the child of order `number`; a later answer reports its end."""
        self._send({"kill": number})

    def _send(self, order: dict[str, Any]) -> None:
        data = memoryview(json.dumps(order).encode() + b"\n")
        try:
            while data:
                data = data[os.write(self._orders, data) :]
        except BrokenPipeError as error:
            raise ZygoteBroken("the zygote has gone") from error

    def read_answers(self) -> list[ZygoteAnswer]:
        """Return the answers since the last call, without waiting. Raises ZygoteBroken if the zygote has ended."""
        try:
            data = os.read(self._answers, 65536)
        except BlockingIOError:
            return []
        if not data:
            raise ZygoteBroken("the zygote has gone")
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]
