"""What a child may see and use, and the ways of walling it in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from workers.common import kernel
from workers.errors import WorkerError
from workers.sandbox import landlock


class WallMissing(WorkerError):
    """A wall of this mode does not stand; the message says which and why."""


class IsolationMode(BaseModel):
    """One way of walling a child in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespaces: Literal["all", "network", "none"]
    user_namespace: bool = False
    own_user: bool = False
    landlock: bool = False

    def missing(self) -> list[str]:
        """Sentences about the walls that this mode lacks; empty in the strongest ones."""
        words = []
        if self.namespaces == "none":
            words.append("no network namespace: a system call filter alone keeps children off the network")
        if self.namespaces != "all":
            files = "Landlock alone keeps children from" if self.landlock else "children see"
            words.append(f"no mount and process namespace: {files} this machine's files and processes")
        if not self.own_user and not self.user_namespace:
            words.append("no user of their own: children run as the same user as the worker")
        return words


class SandboxSpec(BaseModel):
    """What one child may see and use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    root: Path
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    uid: int
    gpus: tuple[str, ...] = ()
    """Device files below /dev, or patterns of them, of the GPUs that the child may use; none on a CPU."""
    memory_bytes: int | None = None
    max_file_bytes: int = 16 << 30
    max_processes: int = 4096


def isolation_modes() -> Iterator[IsolationMode]:
    """The ways of walling in that this process could try, strongest first."""
    mighty = kernel.has_capability(kernel.CAP_SYS_ADMIN)
    if mighty:
        yield IsolationMode(namespaces="all", own_user=True)
    yield IsolationMode(namespaces="all", user_namespace=True)
    files = landlock.version() > 0
    if mighty:
        yield IsolationMode(namespaces="network", own_user=True, landlock=files)
        yield IsolationMode(namespaces="network", landlock=files)
    yield IsolationMode(namespaces="network", user_namespace=True, landlock=files)
    if kernel.has_capability(kernel.CAP_SETUID):
        yield IsolationMode(namespaces="none", own_user=True, landlock=files)
    yield IsolationMode(namespaces="none", landlock=files)
