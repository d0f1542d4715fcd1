"""The sandbox of a child: the files, devices and limits that it gets, and the isolation modes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from workers.common import kernel
from workers.errors import WorkerError
from workers.sandbox import landlock


class WallMissing(WorkerError):
    """A measure of the isolation mode failed; the message says which and why."""


class IsolationMode(BaseModel):
    """One way to isolate a child."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespaces: Literal["all", "network", "none"]
    user_namespace: bool = False
    own_user: bool = False
    landlock: bool = False

    def missing(self) -> list[str]:
        """Sentences about the protections that this mode lacks; empty for the strongest modes."""
        sentences = []
        if self.namespaces == "none":
            sentences.append("no network namespace: a system call filter alone keeps children off the network")
        if self.namespaces != "all":
            files = "Landlock alone keeps children from" if self.landlock else "children see"
            sentences.append(f"no mount and process namespace: {files} this machine's files and processes")
        if not self.own_user and not self.user_namespace:
            sentences.append("no user of their own: children run as the same user as the worker")
        if self.namespaces != "all" and not self.own_user and not (self.landlock and landlock.stops_signals()):
            sentences.append(
                "neither a process namespace nor Linux 6.12's Landlock: children can end processes of the worker's user"
            )
        return sentences


class SandboxSpec(BaseModel):
    """The files, devices and limits that one child gets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    root: Path
    readable: tuple[Path, ...] = ()
    programs: tuple[Path, ...] = ()
    """Programs, and whole environments, whose links lead only to folders that are named here."""
    writable: tuple[Path, ...] = ()
    uid: int
    gpus: tuple[str, ...] = ()
    """Device files below /dev, or patterns, of the GPUs that the child may use; none for the CPU."""
    memory_bytes: int | None = None
    max_file_bytes: int = 16 << 30
    max_processes: int = 4096


def isolation_modes() -> Iterator[IsolationMode]:
    """The modes that this process can try, strongest first."""
    privileged = kernel.has_capability(kernel.CAP_SYS_ADMIN)
    if privileged:
        yield IsolationMode(namespaces="all", own_user=True)
    yield IsolationMode(namespaces="all", user_namespace=True)
    files = landlock.version() > 0
    if privileged:
        yield IsolationMode(namespaces="network", own_user=True, landlock=files)
        yield IsolationMode(namespaces="network", landlock=files)
    yield IsolationMode(namespaces="network", user_namespace=True, landlock=files)
    if kernel.has_capability(kernel.CAP_SETUID):
        yield IsolationMode(namespaces="none", own_user=True, landlock=files)
    yield IsolationMode(namespaces="none", landlock=files)
