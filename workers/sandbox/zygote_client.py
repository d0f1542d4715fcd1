"""The worker's end of the zygote: starts it with a clean environment, orders children, hears how they end.

The worker starts the zygote before it takes jobs; the process that runs a job is forked from the worker and inherits
the pipes. One of the two uses them at a time. A job process that dies in the middle may leave half a line behind:
the worker then stops the zygote, and with it the child, and starts another.
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
from workers.sandbox.child import ChildOrder
from workers.sandbox.sandbox_spec import IsolationMode, SandboxSpec

PASSED_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "LD_LIBRARY_PATH", "STEWARD_CLOCK", NLTK_DATA)
PASSED_VARIABLE_PREFIXES = ("CUDA_", "NVIDIA_", "OMP_", "MKL_")
START_SECONDS = 180.0


class ZygoteBroken(WorkerError):
    """The zygote does not come up, or has gone; the message tells why as far as it is known."""


@dataclass(frozen=True)
class ZygoteReport:
    """What the zygote says of itself: its walls, what was said against stronger ones, threads, seconds to start."""

    mode: IsolationMode
    against: tuple[str, ...]
    threads: int
    seconds: float


def zygote_environment(
    home: Path, source: Mapping[str, str], devices: Sequence[Device] | None = None
) -> dict[str, str]:
    """The zygote's whole environment: a few names of `source` that hold no secret, and a home of its own.

    Of the GPUs the libraries in it see `devices` alone, in that order; None leaves that to `source`.
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
    """One zygote at a time. Start it in the thread that the worker lives in: the zygote dies with that thread."""

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

    # --- the zygote's life

    def start(self) -> None:
        """Start a zygote; it gets ready meanwhile."""
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
        """Return once `ready` is known, or `stop` says so. Raises ZygoteBroken where it does not come to that."""
        deadline = time.monotonic() + seconds
        while self.ready is None and not stop():
            if time.monotonic() > deadline:
                raise ZygoteBroken(f"the zygote is not ready after {seconds:.0f} s")
            select.select([self._answers], [], [], 0.25)
            for answer in self._read():
                if "broken" in answer:
                    raise ZygoteBroken(f"the zygote cannot fork children: {answer['broken']}")
                said = answer["ready"]
                mode = IsolationMode.model_validate(said["mode"])
                self.ready = ZygoteReport(mode, tuple(said["against"]), said["threads"], said["seconds"])

    def alive(self) -> bool:
        """Whether there is a zygote; only the process that started it can tell."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Kill the zygote; the kernel kills its child with it. Returns when it is gone."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
        os.close(self._orders)
        os.close(self._answers)

    def give_up(self) -> None:
        """Kill the zygote, from whichever process: the worker finds it gone, and starts another for the next job."""
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
        """Becomes readable when there is something to `hear`."""
        return self._answers

    def next_number(self) -> int:
        """A number that no order has yet."""
        self._number += 1
        return os.getpid() * 1_000 + self._number

    def order(self, order: ChildOrder) -> None:
        """Ask for a child. Raises ZygoteBroken where there is no zygote to ask."""
        self._say({"fork": order.model_dump(mode="json")})

    def kill(self, number: int) -> None:
        """Have the child of order `number` killed; that it ended is heard later."""
        self._say({"kill": number})

    def hear(self) -> list[dict[str, Any]]:
        """What the zygote said since; never waits. Raises ZygoteBroken where it is gone."""
        return self._read()

    def _say(self, order: dict[str, Any]) -> None:
        data = json.dumps(order).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._orders, data) :]
        except BrokenPipeError as error:
            raise ZygoteBroken("the zygote has gone") from error

    def _read(self) -> list[dict[str, Any]]:
        try:
            data = os.read(self._answers, 65536)
        except BlockingIOError:
            return []
        if not data:
            raise ZygoteBroken("the zygote has gone")
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [json.loads(line) for line in lines]
