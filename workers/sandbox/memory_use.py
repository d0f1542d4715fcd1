"""The memory that a child holds: of its processes, temporary file systems, sockets and pipes.

It works without privileges: it reads what /proc shows to every user about processes and network namespaces. The filter
in `workers.sandbox.seccomp` denies memory that this does not count. Buffers are counted by the bytes that they may hold
at most, because the kernel does not report the actual bytes to other processes.
Accepted: a child may hold more than its limit until the next check, a tenth of a second later. With a GPU, whose driver
shares memory without a file, pages of such memory that no process maps any more are not counted; nor are the first 64
MiB of all pipes.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workers.sandbox.filesystem_view import SHARED_MEMORY, TEMPORARY
from workers.sandbox.zygote_client import ZygoteClient

_GONE = frozenset({errno.ENOENT, errno.ESRCH, errno.EINVAL, errno.ENXIO})
"""Errors of /proc for a process that has ended: EINVAL for listing, ENXIO for opening, files of its lost network."""
_PAGE = resource.getpagesize()
_PIPE_BYTES = 2 * _PAGE
"""The most that a pipe holds, once its user has many."""
_DATAGRAMS = 11
"""Messages that wait in a Unix datagram socket at most; each may come from another sender."""
_DATAGRAM_TYPE = "0002"


class MemoryUse:
    """The memory of one child of the client's zygote, and of all that the child leaves behind below the zygote."""

    def __init__(self, zygote_client: ZygoteClient) -> None:
        self._zygote_client = zygote_client
        self._file_systems: dict[str, int] = {}
        self._socket_bytes = 3 * _setting("net/core/wmem_default") // 2  # a last message may exceed the buffer
        self._tcp_bytes = _setting("net/ipv4/tcp_rmem") + _setting("net/ipv4/tcp_wmem")

    def held(self, keeper: int) -> int:
        """Bytes that the child of `keeper` holds, and every other process below the zygote."""
        report, below = self._zygote_client.ready, children(keeper)
        namespaces = report.mode.namespaces if report is not None else "none"
        init = below[:1] if namespaces == "all" else []
        # The keeper and process 1 of the child's namespace hold only pages shared with the zygote.
        processes = [_status(pid) for pid in _descendants(self._zygote_client.pid) if pid not in (keeper, *init)]
        private, shared, descriptors = (
            sum(process.get(name, 0) for process in processes for name in names)
            for names in (("RssAnon", "VmPTE"), ("RssShmem",), ("FDSize",))
        )
        if init:
            self._find_file_systems(init[0])
        held = 1024 * private + max(1024 * shared, self._bytes_of_files())
        if namespaces == "none":
            return held + descriptors * self._socket_bytes
        return held + descriptors * _PIPE_BYTES + (self._bytes_of_sockets(keeper) if below else 0)

    def is_full(self) -> bool:
        """Whether files in the child's /dev/shm fill it, now or when the child ended."""
        descriptor = self._file_systems.get(SHARED_MEMORY)
        return descriptor is not None and os.fstatvfs(descriptor).f_bfree == 0

    def close(self) -> None:
        """Close the descriptors of the child's temporary file systems."""
        for descriptor in self._file_systems.values():
            os.close(descriptor)
        self._file_systems.clear()

    def _find_file_systems(self, init: int) -> None:
        """Open the child's own /tmp and /dev/shm once they are mounted; they stay as long as they are open."""
        if self._file_systems:
            return
        root = f"/proc/{init}/root"
        # They may not be mounted yet; and the sizes of file systems that a child hides still bound them.
        with suppress(PermissionError), _unless_gone():
            paths = (Path("/"), Path(root), Path(root + TEMPORARY), Path(root + SHARED_MEMORY))
            if len({path.stat().st_dev for path in paths}) == len(paths):  # its own root, and both mounted
                for path in (TEMPORARY, SHARED_MEMORY):
                    self._file_systems[path] = os.open(root + path, os.O_PATH)

    def _bytes_of_files(self) -> int:
        systems = map(os.fstatvfs, self._file_systems.values())
        return sum((system.f_blocks - system.f_bfree) * system.f_frsize for system in systems)

    def _bytes_of_sockets(self, pid: int) -> int:
        """The most that the sockets in the network namespace of `pid` hold, also those that wait to be accepted."""
        folder, total = Path(f"/proc/{pid}/net"), 0
        with _unless_gone():
            for line in (folder / "unix").read_text().splitlines()[1:]:
                total += self._socket_bytes * (_DATAGRAMS if line.split()[4] == _DATAGRAM_TYPE else 1)
            total += sum(int(line.split()[4]) for line in (folder / "netlink").read_text().splitlines()[1:])
            counts = dict(_socket_counts(folder))
            for kind, most in (("TCP", self._tcp_bytes), ("UDP", self._socket_bytes)):
                number = counts.get(f"{kind} inuse", 0) + counts.get(f"{kind}6 inuse", 0)
                total += min(number * most, counts.get(f"{kind} mem", 0) * _PAGE)  # the machine's memory for all TCP
        return total


@contextmanager
def _unless_gone() -> Iterator[None]:
    """End the block without an error if the process that it reads about has ended."""
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise


def children(pid: int) -> list[int]:
    """Process ids of the children of all threads of `pid`; none if the process has ended."""
    pids: list[int] = []
    with _unless_gone():
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with _unless_gone():
                pids += map(int, (thread / "children").read_text().split())
    return pids


def _descendants(pid: int | None) -> Iterator[int]:
    waiting = children(pid) if pid is not None else []
    while waiting:
        yield (child := waiting.pop())
        waiting += children(child)


def _status(pid: int) -> dict[str, int]:
    """The numbers in the status of the process `pid`; sizes are in KiB."""
    with _unless_gone():
        fields = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return {field[0].rstrip(":"): int(field[1]) for field in fields if len(field) > 1 and field[1].isdecimal()}
    return {}


def _socket_counts(folder: Path) -> Iterator[tuple[str, int]]:
    """Each count in lines like `TCP: inuse 1 orphan 0` of the files in `folder`, as `TCP inuse` and 1."""
    text = (folder / "sockstat").read_text()  # by name: listing the folder of an ended process is an invalid argument
    with suppress(FileNotFoundError):  # a kernel without IP version 6
        text += (folder / "sockstat6").read_text()
    for line in text.splitlines():
        kind, _, counts = line.partition(":")
        words = iter(counts.split())
        yield from ((f"{kind} {name}", int(number)) for name, number in zip(words, words, strict=True))


def _setting(name: str) -> int:
    """The last number of the kernel's setting `name`; 0 where the kernel does not show it."""
    with suppress(FileNotFoundError):
        return int(Path("/proc/sys", name).read_text().split()[-1])
    return 0
