"""How a worker measures the memory of a child, also while the child ends."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn, cast

import pytest

from tests.support.workers.child_runs import unshared
from workers.sandbox.memory_use import MemoryUse, _socket_counts, children
from workers.sandbox.zygote_client import ZygoteClient

LISTEN = """
import json, socket
from pathlib import Path
from workers.sandbox.memory_use import _socket_counts
print(json.dumps(dict(_socket_counts(Path("/proc/self/net")))))
with socket.create_server(("", 0)):
    print(json.dumps(dict(_socket_counts(Path("/proc/self/net")))))
"""


@pytest.fixture
def ended_process() -> Iterator[int]:
    """The id of a process that has ended and whose parent has not read its exit status."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    yield pid
    os.waitpid(pid, 0)


def test_the_sockets_of_an_ended_process_cannot_be_read(ended_process: int) -> None:
    """Reading the sockets of an ended process raises `FileNotFoundError`, as for a process that does not exist."""
    with pytest.raises(FileNotFoundError):
        dict(_socket_counts(Path(f"/proc/{ended_process}/net")))


def test_open_sockets_are_counted() -> None:
    """A new listening socket adds one to the count of its network namespace, which no other process uses."""
    command = unshared()
    if not command:
        pytest.skip("this machine grants no network namespaces")
    lines = subprocess.run([*command, sys.executable, "-c", LISTEN], check=True, capture_output=True, text=True).stdout
    before, after = map(json.loads, lines.splitlines())
    assert after["TCP inuse"] == before["TCP inuse"] + 1
    assert before.keys() == after.keys()


def test_each_error_of_an_ended_process_means_that_it_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four errors mean that the process ended while it was read, and count as no memory; another error is raised."""
    memory_use = MemoryUse(cast(ZygoteClient, None))

    def fail(number: int) -> None:
        def read_text(path: Path) -> NoReturn:
            raise OSError(number, os.strerror(number), str(path))

        monkeypatch.setattr(Path, "read_text", read_text)

    for number in (errno.ENOENT, errno.ESRCH, errno.EINVAL, errno.ENXIO):
        fail(number)
        assert (memory_use._bytes_of_sockets(os.getpid()), children(os.getpid())) == (0, [])
    fail(errno.EIO)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):
        memory_use._bytes_of_sockets(os.getpid())
