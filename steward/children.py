"""Child processes: starts and watches them, and makes sure that they end, even if this process is killed."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None, use_errno=True).prctl  # resolved before any fork, where the loader's lock may be held


class ChildDied(RuntimeError):
    """A process that should keep running has ended; the message has the end of its log."""


def die_with_parent() -> None:
    """In the child, before exec: ask the kernel for SIGTERM when the thread that started it ends."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end(processes: Sequence[subprocess.Popen[bytes]], *, within: float) -> None:
    """Send SIGTERM to each process, and SIGKILL to the group of each that has not ended `within` seconds in total.

    Each has to lead its own process group, as the processes of this module do.
    """
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + within
    for process in processes:
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@dataclass
class Child:
    """One process and its log file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self, size: int = 2_000) -> str:
        """Return the end of its log."""
        return self.log.read_text("utf-8", "replace")[-size:] if self.log.exists() else ""


@dataclass
class Children:
    """Starts processes and stops all of them, the last first."""

    logs: Path
    grace: float = 10.0
    started: list[Child] = field(default_factory=list)

    def start(
        self, name: str, arguments: Sequence[str], *, environment: Mapping[str, str], stdout: int | None = None
    ) -> Child:
        """Start a process with exactly this `environment`; its output goes to a log file."""
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{name}.log"
        with path.open("ab") as log:
            process = subprocess.Popen(
                list(arguments),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                start_new_session=True,  # this process handles Ctrl-C and stops them in order
                preexec_fn=die_with_parent,
            )
        child = Child(name, process, path)
        self.started.append(child)
        return child

    def check(self) -> None:
        """Raise ChildDied if any started process has ended."""
        for child in self.started:
            if child.process.poll() is not None:
                status = child.process.returncode
                raise ChildDied(f"{child.name} ended with status {status}:\n{child.last_words()}")

    def stop(self) -> None:
        """Stop all started processes, the last first."""
        end([child.process for child in reversed(self.started)], within=self.grace)
        self.started.clear()

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
