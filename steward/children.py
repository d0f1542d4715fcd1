"""Processes of our own: started, watched, and certainly gone at the end, even if we are killed."""

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
_prctl = ctypes.CDLL(None, use_errno=True).prctl  # looked up before any fork: in a fork, the loader's lock may be held


class ChildDied(RuntimeError):
    """A process that should go on serving has ended; the message holds its last words."""


def die_with_parent() -> None:
    """In the child, before exec: ask the kernel for SIGTERM when the thread that started it dies."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def end(processes: Sequence[subprocess.Popen[bytes]], *, within: float) -> None:
    """SIGTERM to each; SIGKILL to the whole group of whoever is not gone `within` so many seconds, all together.

    Each leads a group of its own, as those that are started here do.
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
    """One process, its log in a file."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def last_words(self, size: int = 2_000) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-size:] if self.log.exists() else ""


@dataclass
class Children:
    """Starts processes and ends them all, last started first."""

    logs: Path
    grace: float = 10.0
    started: list[Child] = field(default_factory=list)

    def start(
        self, name: str, arguments: Sequence[str], *, environment: Mapping[str, str], stdout: int | None = None
    ) -> Child:
        """Start a process whose whole environment is `environment`; its output goes to a log file."""
        self.logs.mkdir(parents=True, exist_ok=True)
        path = self.logs / f"{name}.log"
        with path.open("ab") as log:
            process = subprocess.Popen(
                list(arguments),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log if stdout is None else stdout,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us: we end them in order
                preexec_fn=die_with_parent,
            )
        child = Child(name, process, path)
        self.started.append(child)
        return child

    def check(self) -> None:
        """Raise ChildDied if any of them has ended."""
        for child in self.started:
            if child.process.poll() is not None:
                status = child.process.returncode
                raise ChildDied(f"{child.name} ended with status {status}:\n{child.last_words()}")

    def stop(self) -> None:
        """End all of them, the last first."""
        end([child.process for child in reversed(self.started)], within=self.grace)
        self.started.clear()

    def __enter__(self) -> Children:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
