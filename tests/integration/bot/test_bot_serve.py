"""`steward serve` as a process, killed among deliveries: each acknowledged one is in Redis once, and its key is marked.

`make test` kills it once, `make chaos` also at its first delivery and at named points.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
import redis

from bot.intake.inbox import READ, STORED
from bot.intake.inbox_log import InboxLog
from redis_state.keys import Keys
from steward.children import Child, Children
from steward.testing.board import BOARD, SECRET
from steward.testing.waiting import wait_until
from steward.valkey import Valkey, free_port

KEYS = Keys("demo")
ALL = range(1, 501)
"""Numbers of deliveries; each is about the thread with its own number, so that each marks a key of its own."""
SENDERS = 48
ANOTHER_POINT = pytest.mark.long("killed at another point")
KILLS = [
    ("", 300),
    pytest.param("", 1, marks=ANOTHER_POINT),
    pytest.param(f"{READ}:200", 0, marks=ANOTHER_POINT),
    pytest.param(f"{STORED}:200", 0, marks=ANOTHER_POINT),
]
"""The points where the server kills itself, or how many deliveries are acknowledged when it is killed."""


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    """Starts processes, and ends them after the test."""
    with Children(tmp_path / "logs") as started:
        yield started


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[Valkey]:
    """A queue server that may be killed."""
    with Valkey(tmp_path / "valkey") as server:
        yield server


def serve(children: Children, folder: Path, redis_url: str, port: int, **environment: str) -> Child:
    """Start `steward serve` at `port`."""
    (folder / "board.yaml").write_text(BOARD)
    own = {"REDIS_URL": redis_url, "STEWARD_BOARD": str(folder / "board.yaml"), "STEWARD_PORT": str(port)}
    own |= {"STEWARD_WEBHOOK_SECRET": SECRET, "PATH": os.environ["PATH"]}
    return children.start("serve", [sys.executable, "-m", "steward.cli", "serve"], environment=own | environment)


def is_up(port: int) -> bool:
    """Whether a web server answers at `port`."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    except httpx2.TransportError:
        return False


@dataclass
class Hub:
    """Sends deliveries over many connections at once, and remembers the answers."""

    port: int
    acknowledged: set[int] = field(default_factory=set)
    answers: Counter[int] = field(default_factory=Counter)
    after: int = 0
    then: Callable[[], None] | None = None
    """Called once, when `after` deliveries are acknowledged."""

    def send(self, numbers: range) -> None:
        """Send each delivery once, as fast as they are answered; a sender whose connection breaks stops."""
        asyncio.run(self._send(iter(numbers)))

    async def _send(self, numbers: Iterator[int]) -> None:
        await asyncio.gather(*(self._sender(numbers) for _ in range(SENDERS)))

    async def _sender(self, numbers: Iterator[int]) -> None:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return
        try:
            for number in numbers:
                writer.write(_delivery(number))
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
                self._note(number, int(head.split(b" ", 2)[1]))
        except (OSError, EOFError):
            return
        finally:
            writer.close()

    def _note(self, number: int, status: int) -> None:
        self.answers[status] += 1
        if status == 202:
            self.acknowledged.add(number)
        if self.then is not None and len(self.acknowledged) >= self.after:
            then, self.then = self.then, None
            then()


def _delivery(number: int) -> bytes:
    body = {
        "event": {"action": "create", "scope": "discussion.comment"},
        "repo": {"type": "dataset", "name": "board/requests"},
        "discussion": {"num": number},
        "comment": {"author": {"id": "a" * 24}, "content": "/status"},
    }
    content = json.dumps(body).encode()
    head = f"POST /webhooks/hub HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: {SECRET}\r\nWebhook-Id: d{number}\r\n"
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content


def stored(connection: redis.Redis) -> Counter[int]:
    """Return how often each delivery is in the inbox."""
    return Counter(int(delivery.id.removeprefix("d")) for delivery in InboxLog(connection, KEYS).newest())


def marked(connection: redis.Redis) -> set[int]:
    """Return the numbers of the deliveries whose keys are marked."""
    return {int(key.rpartition(b":")[2]) for key in connection.zrange(KEYS.dirty, 0, -1)}


def check(connection: redis.Redis, acknowledged: set[int]) -> None:
    """Check that every acknowledged delivery is in the inbox and marked, and that none is in it twice."""
    there = stored(connection)
    assert acknowledged <= there.keys()
    assert set(there.values()) <= {1}
    assert marked(connection) == there.keys()


@pytest.mark.parametrize(
    ("crash_at", "after"),
    KILLS,
    ids=str,
)
def test_a_server_killed_among_deliveries_loses_none_that_it_acknowledged(
    children: Children,
    valkey_url: str,
    connection: redis.Redis,
    tmp_path: Path,
    crash_at: str,
    after: int,
) -> None:
    """After a kill -9 and a restart the Hub sends all deliveries again, and each is in the inbox exactly once."""
    port = free_port()
    server = serve(children, tmp_path, valkey_url, port, STEWARD_CRASH_AT=crash_at)
    wait_until(lambda: is_up(port))
    hub = Hub(port, after=after, then=None if crash_at else server.process.kill)
    hub.send(ALL)
    assert server.process.wait(20) == -signal.SIGKILL
    assert 0 < len(hub.acknowledged) < len(ALL)
    assert hub.answers.keys() == {202}
    check(connection, hub.acknowledged)

    serve(children, tmp_path, valkey_url, port)
    wait_until(lambda: is_up(port))
    again = Hub(port)
    again.send(ALL)
    assert again.acknowledged == set(ALL)
    check(connection, set(ALL))


@pytest.mark.long("starts and kills servers; `make chaos` runs the file")
def test_a_queue_server_killed_among_deliveries_loses_none_that_was_acknowledged(
    children: Children, own_valkey: Valkey, tmp_path: Path
) -> None:
    """Deliveries that cannot be stored are answered 503, and `/readyz` says why; after the restart all are stored."""
    port, some = free_port(), ALL[:500]
    server = serve(children, tmp_path, own_valkey.url, port)
    wait_until(lambda: is_up(port))
    queue_server = own_valkey.process
    assert queue_server is not None

    def kill() -> None:
        queue_server.kill()
        queue_server.wait(10)  # else what is left may be stored before the signal arrives

    hub = Hub(port, after=300, then=kill)
    hub.send(some)
    assert hub.answers.keys() == {202, 503}
    assert hub.answers[202] + hub.answers[503] == len(some)
    health = httpx2.get(f"http://127.0.0.1:{port}/readyz")
    assert health.status_code == 503
    assert "does not answer" in health.json()["redis"]

    with Valkey(own_valkey.folder, port=own_valkey.port), redis.Redis.from_url(own_valkey.url) as connection:
        check(connection, hub.acknowledged)
        again = Hub(port)
        again.send(some)
        assert again.acknowledged == set(some)
        check(connection, set(some))
        assert httpx2.get(f"http://127.0.0.1:{port}/healthz").json()["redis"] == "answers"
    assert server.process.poll() is None


def test_a_server_that_is_asked_to_stop_answers_what_it_has_begun(
    children: Children, valkey_url: str, connection: redis.Redis, tmp_path: Path
) -> None:
    """After SIGTERM the server ends within seconds; every acknowledged delivery is stored, no sender gets an error."""
    port = free_port()
    server = serve(children, tmp_path, valkey_url, port)
    wait_until(lambda: is_up(port))
    hub = Hub(port, after=200, then=server.process.terminate)
    hub.send(ALL)
    assert server.process.wait(10) in (0, -signal.SIGTERM)
    assert hub.answers.keys() == {202}
    check(connection, hub.acknowledged)


@pytest.mark.long("starts and kills servers; `make chaos` runs the file")
def test_two_hundred_half_sent_bodies_take_bounded_memory(children: Children, valkey_url: str, tmp_path: Path) -> None:
    """Each sender holds back the last byte of nearly a megabyte; deliveries come through, and memory stays bounded."""
    port = free_port()
    server = serve(children, tmp_path, valkey_url, port)
    wait_until(lambda: is_up(port))
    before = resident(server)

    async def play() -> None:
        head = f"POST /webhooks/hub HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: {SECRET}\r\nContent-Length: 990000\r\n\r\n"
        slow = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", port) for _ in range(200)))
        for _, writer in slow:
            writer.write(head.encode() + b"x" * 989_999)
        refused = [asyncio.ensure_future(reader.read(12)) for reader, _ in slow]
        for first in asyncio.as_completed(refused[:], timeout=10):
            assert await first == b"HTTP/1.1 503"
            if sum(task.done() for task in refused) >= 120:
                break
        for _, writer in slow:
            writer.close()

    asyncio.run(play())
    assert resident(server) - before < 180  # the bodies alone are 198 MB; buffers are larger on a busy machine
    hub = Hub(port)
    hub.send(range(1, 100))
    assert len(hub.acknowledged) == 99


def resident(child: Child) -> int:
    """The largest memory that a process ever held, in MB."""
    words = Path(f"/proc/{child.process.pid}/status").read_text().partition("VmHWM:")[2].split()
    return int(words[0]) // 1024
