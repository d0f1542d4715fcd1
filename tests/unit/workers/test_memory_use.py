"""The memory of a child, while the child ends."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.sandbox.memory_use import _socket_counts


@pytest.fixture
def ended_process() -> Iterator[int]:
    """The id of a process that has ended and whose parent has not read its exit status."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    yield pid
    os.waitpid(pid, 0)


def test_the_sockets_of_an_ended_process_are_those_of_a_process_that_is_gone(ended_process: int) -> None:
    """A child that ends between two reads of its memory counts as gone, and does not stop its supervisor."""
    with pytest.raises(FileNotFoundError):
        dict(_socket_counts(Path(f"/proc/{ended_process}/net")))


def test_open_sockets_are_counted() -> None:
    """A listening socket appears in the counts of its network namespace."""
    before = dict(_socket_counts(Path("/proc/self/net")))
    with socket.create_server(("127.0.0.1", 0)):
        after = dict(_socket_counts(Path("/proc/self/net")))
    assert after["TCP inuse"] > 0
    assert before.keys() == after.keys()
