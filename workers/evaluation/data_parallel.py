"""Data parallel: one evaluation by several copies of the child, each with the model on a device of its own.

The harness shares the questions out and gathers the answers, as it does under `accelerate launch`; this is the launch.
Copies are forked before anything was computed. They meet on the loopback of the child's own network namespace. Where
one of them dies, the others would wait for it for ever: whoever fails first says why, and all end.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable

from workers.common import kernel
from workers.sandbox.stream import StreamWriter

FAILED = 1


def start_copies(copies: int, *, on_cpu: bool, body: Callable[[], None], stream: int) -> None:
    """Fork `copies` - 1 processes that run `body` as ranks 1, 2, …; return as rank 0, with the environment of that.

    A copy that fails says so over the descriptor `stream`, after which this process ends with FAILED. With `on_cpu`
    copies share the CPU, which is for tests: there is nothing to gain.
    """
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(copies),
        "LOCAL_WORLD_SIZE": str(copies),
    }
    if on_cpu:
        os.environ["ACCELERATE_USE_CPU"] = "true"
    speaker, token = os.pipe()
    os.write(token, b"1")  # whoever takes it may speak
    for rank in range(1, copies):
        pid = os.fork()
        if pid == 0:
            _run(rank, body, speaker, stream)
        threading.Thread(target=_watch, args=(pid,), name=f"copy {rank}", daemon=True).start()
    _set_rank(0)


def _set_rank(rank: int) -> None:
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(rank)


def _run(rank: int, body: Callable[[], None], speaker: int, stream: int) -> None:
    kernel.die_with_parent()
    _set_rank(rank)
    try:
        body()
    except BaseException as error:  # noqa: BLE001  # boundary: whatever a copy dies of is told to the worker
        trace = traceback.format_exc()
        sys.stderr.write(trace)
        sys.stderr.flush()
        os.set_blocking(speaker, False)
        if _may_speak(speaker):
            StreamWriter(stream).failed(error, trace)
        os._exit(FAILED)
    os._exit(0)


def _may_speak(speaker: int) -> bool:
    try:
        return bool(os.read(speaker, 1))
    except BlockingIOError:
        return False


def _watch(pid: int) -> None:
    _, status = os.waitpid(pid, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        os._exit(FAILED)


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
