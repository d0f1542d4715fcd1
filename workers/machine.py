"""What this machine, or the container that we run in, has to give."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def memory_bytes() -> int:
    """Memory that processes here can have together: the machine's, or less where a container is given less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([whole, *filter(None, map(_limit, _LIMITS))])


def _limit(file: str) -> int | None:
    try:
        return int(Path(file).read_text())
    except (OSError, ValueError):  # no such cgroup, or "max"
        return None


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


def description(device: str) -> str:
    """The machine in a few words, for people who compare results."""
    return f"{device} ({platform.machine()}, {cores()} cores, {memory_bytes() >> 30} GiB)"
