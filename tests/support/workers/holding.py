"""Trials of the trial harness that hold memory, each in one way, up to four times the limit of the child.

If the system refuses a call, a trial ends normally. It writes how much it held, and the error. Tests expect the worker
to stop a trial before it holds four times the limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import mmap
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from workers.common.run_plan import Report, RunPlan, RunProgress

MIB = 1 << 20
CHUNK = 8 * MIB
MARK = "steward-trial"
BYTES_PER_SECOND = 500 * MIB
"""A child that takes memory faster is stopped later: see `workers.sandbox.memory_use`."""
REFUSED = (errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENOENT)
_libc = ctypes.CDLL(None, use_errno=True)

Way = Callable[[RunPlan], Iterator[int]]
"""Holds memory step by step, and yields the bytes of each step."""


def memfd(plan: RunPlan) -> Iterator[int]:
    """Writes to anonymous files."""
    while True:
        os.write(os.memfd_create("held"), bytes(CHUNK))
        yield CHUNK


def shm(plan: RunPlan) -> Iterator[int]:
    """Writes files into /dev/shm."""
    for number in range(1_000):
        Path(f"/dev/shm/{MARK}-{number}").write_bytes(bytes(CHUNK))
        yield CHUNK


def sysv(plan: RunPlan) -> Iterator[int]:
    """Fills System V segments, and detaches them."""
    _libc.shmat.restype = ctypes.c_void_p
    while True:
        segment = _libc.shmget(0, ctypes.c_size_t(CHUNK), 0o1600)
        if segment < 0:
            raise OSError(ctypes.get_errno(), "shmget")
        address = ctypes.c_void_p(_libc.shmat(segment, None, 0))
        ctypes.memset(address, 1, CHUNK)
        _libc.shmdt(address)
        yield CHUNK


def shared(plan: RunPlan) -> Iterator[int]:
    """Fills shared memory without a file, and removes it from its own page tables."""
    held = []
    while True:
        memory = mmap.mmap(-1, CHUNK)
        memory.write(bytes(CHUNK))
        memory.madvise(mmap.MADV_DONTNEED)
        held.append(memory)
        yield CHUNK


def zeros(plan: RunPlan) -> Iterator[int]:
    """Fills shared mappings of /dev/zero, and removes them from its own page tables."""
    held = []
    with Path("/dev/zero").open("r+b") as file:
        while True:
            memory = mmap.mmap(file.fileno(), CHUNK)
            memory.write(bytes(CHUNK))
            memory.madvise(mmap.MADV_DONTNEED)
            held.append(memory)
            yield CHUNK


def fill(sender: socket.socket) -> int:
    """Send until the buffers are full; return the bytes sent."""
    sender.setblocking(False)
    sent = 0
    with contextlib.suppress(BlockingIOError):
        while True:
            sent += sender.send(bytes(65_536))
    return sent


def pairs(plan: RunPlan) -> Iterator[int]:
    """Fills pairs of sockets."""
    held = []
    while True:
        held.append(socket.socketpair())
        for end in held[-1]:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MIB)
        yield sum(fill(end) for end in held[-1])


def backlog(plan: RunPlan) -> Iterator[int]:
    """Fills Unix sockets that wait to be accepted, and closes its own ends."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(plan.spool / "server"))
        server.listen(4_096)
        while True:
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(plan.spool / "server"))
                sent = fill(client)
            yield sent


def tcp(plan: RunPlan) -> Iterator[int]:
    """Fills TCP connections over the child's own loopback."""
    held = []
    with socket.create_server(("127.0.0.1", 0), backlog=4_096) as server:
        while True:
            held.append(socket.create_connection(server.getsockname(), timeout=2))
            yield fill(held[-1])


def hold(share: float, plan: RunPlan) -> None:
    """Hold a share of the limit until killed."""
    assert plan.limits.memory_bytes is not None
    held = bytearray(os.urandom(4_096)) * int(share * plan.limits.memory_bytes // 4_096)
    time.sleep(60)
    os._exit(len(held) % 2)


def threads(plan: RunPlan) -> Iterator[int]:
    """Forks, from other threads, processes that each hold half of the limit."""

    def fork() -> None:
        if os.fork() == 0:
            hold(0.5, plan)

    yield from repeat(fork, plan)


def orphans(plan: RunPlan) -> Iterator[int]:
    """Forks daemons that leave their session and their parents."""

    def fork() -> None:
        if (child := os.fork()) == 0:
            os.setsid()
            if os.fork() == 0:
                hold(0.5, plan)
            os._exit(0)
        os.waitpid(child, 0)

    yield from repeat(fork, plan)


def repeat(fork: Callable[[], None], plan: RunPlan) -> Iterator[int]:
    """Call `fork` on eight threads, which keep running."""
    assert plan.limits.memory_bytes is not None
    for _ in range(8):
        thread = threading.Thread(target=lambda: (fork(), time.sleep(60)), daemon=True)
        thread.start()
        yield 0
    time.sleep(20)
    yield 4 * plan.limits.memory_bytes


def tables(plan: RunPlan) -> Iterator[int]:
    """Fills page tables: reads one page of zeros for each page of them."""
    held, size = [], 8 << 30
    while True:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        held.append([memory, sum(memory[at] for at in range(0, size, 2 * MIB))])
        yield size // (2 * MIB) * mmap.PAGESIZE


WAYS: dict[str, Way] = {
    way.__name__: way for way in (memfd, shm, sysv, shared, zeros, pairs, backlog, tcp, threads, orphans, tables)
}


def trial(way: Way) -> Callable[[RunPlan, Report], None]:
    """The trial that holds memory in this way."""

    def run(plan: RunPlan, report: Report) -> None:
        assert plan.limits.memory_bytes is not None
        held, all_of_it, error = 0, 4 * plan.limits.memory_bytes, ""
        try:
            for step in way(plan):
                held += step
                time.sleep(step / BYTES_PER_SECOND)
                report(RunProgress("evaluate", held // MIB, all_of_it // MIB))
                if held >= all_of_it:
                    break
        except OSError as refused:
            if refused.errno not in REFUSED:
                raise
            error = str(refused)
        (plan.spool / "results.json").write_text(json.dumps({"held": held, "error": error}))

    return run
