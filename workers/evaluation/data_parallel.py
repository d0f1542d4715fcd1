"""Data parallel: launches copies of the child that evaluate together, each with the model on its own device.

The harness distributes the questions and gathers the answers as under `accelerate launch`; this module replaces that
command. Copies are forked before any computation, and talk over the loopback of the child's own network namespace. If
one died, the others would wait for it forever: the first to fail reports its error, and all end.
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

EXIT_FAILED = 1


def start_copies(copies: int, *, on_cpu: bool, body: Callable[[], None], stream: int) -> None:
    """Fork `copies` - 1 processes that run `body` as ranks 1, 2, …; return as rank 0, with the environment of rank 0.

    A copy that fails reports its error over the descriptor `stream`, then this process exits with EXIT_FAILED. With
    `on_cpu` copies share the CPU; only tests use that.
    """
    os.environ |= {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(_free_port()),
        "WORLD_SIZE": str(copies),
        "LOCAL_WORLD_SIZE": str(copies),
    }
    if on_cpu:
        os.environ["ACCELERATE_USE_CPU"] = "true"
    token_reader, token_writer = os.pipe()
    os.write(token_writer, b"1")  # one token: only the copy that reads it reports its error
    for rank in range(1, copies):
        pid = os.fork()
        if pid == 0:
            _run(rank, body, token_reader, stream)
        threading.Thread(target=_exit_if_failed, args=(pid,), name=f"copy {rank}", daemon=True).start()
    _set_rank(0)


def _set_rank(rank: int) -> None:
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(rank)


def _run(rank: int, body: Callable[[], None], token_reader: int, stream: int) -> None:
    kernel.die_with_parent()
    _set_rank(rank)
    try:
        body()
    except BaseException as error:  # noqa: BLE001  # boundary: every error of a copy is reported to the worker
        trace = traceback.format_exc()
        sys.stderr.write(trace)
        sys.stderr.flush()
        os.set_blocking(token_reader, False)
        if _take_token(token_reader):
            StreamWriter(stream).failed(error, trace)
        os._exit(EXIT_FAILED)
    os._exit(0)


def _take_token(token_reader: int) -> bool:
    """Take the token; False if another copy has taken it."""
    try:
        return bool(os.read(token_reader, 1))
    except BlockingIOError:
        return False


def _exit_if_failed(pid: int) -> None:
    """Wait for the copy `pid`; end this process if it failed, and by the signal that ended it, if one did.

    The worker then sees, for instance, that the kernel killed it for its memory.
    """
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        os.kill(os.getpid(), os.WTERMSIG(status))
    if os.waitstatus_to_exitcode(status) != 0:
        os._exit(EXIT_FAILED)


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
