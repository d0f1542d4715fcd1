"""The web server stores webhook deliveries even while clients hold all of its connections.

The tests speak to the real server, with a low limit, over raw sockets from several addresses of this machine.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product

import pytest
import redis

from bot.core.settings import BotSettings
from bot.web import live
from steward.testing.waiting import wait_until
from tests.support.board.socket_clients import (
    BODY,
    KEYS,
    ROOM,
    connect,
    deliver,
    head,
    running,
    serving,
    status,
    stored,
)
from tests.support.long import long_except

SAME, OTHER = ["127.0.0.1"], ["127.0.0.2"]
SEVERAL = [f"127.0.0.{number}" for number in range(2, 2 + 2 * ROOM)]
CROWD = 4 * ROOM


def get(path: str, *lines: str) -> bytes:
    """A GET request that keeps the connection open."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def stream(port: int, address: str) -> socket.socket:
    """A connection that receives the events of the live pages."""
    return begun(port, address, get("/events"), b"retry:")


def idle(port: int, address: str) -> socket.socket:
    """A connection that asked for a page that does not exist, and stays open."""
    return begun(port, address, get("/nothing", "Accept: application/json"), b"not-found")


def half(port: int, address: str) -> socket.socket:
    """A connection that does not complete its request."""
    return begun(port, address, b"GET / HTTP/1.1\r\n", b"")


def begun(port: int, address: str, sent: bytes, expected: bytes) -> socket.socket:
    """A connection that sent `sent`, and has read `expected` unless the server closed it."""
    connection = connect(port, address)
    answer = b""
    try:
        connection.sendall(sent)
        while expected not in answer and (piece := connection.recv(65_536)):
            answer += piece
    except ConnectionError:
        pass
    return connection


WAYS = {"streams": [stream], "idle": [idle], "half": [half], "all of them": [stream, idle, half]}


ADDRESSES = {"same address": SAME, "other address": OTHER, "many addresses": SEVERAL}
CROWDS = long_except(
    {"streams-other address", "half-same address", "idle-many addresses", "all of them-many addresses"},
    product(WAYS, ADDRESSES),
    "another crowd",
    name="-".join,
)


@pytest.mark.parametrize(("held", "place"), CROWDS)
def test_deliveries_are_stored_while_others_hold_every_place(
    settings: BotSettings, connection: redis.Redis, held: str, place: str
) -> None:
    """Each delivery gets 202 while one client or many hold streams, idle connections and unfinished requests."""
    ways, addresses = WAYS[held], ADDRESSES[place]
    with serving(settings, seconds=60) as port, ExitStack() as opened:
        for number in range(CROWD):
            way, address = ways[number % len(ways)], addresses[number % len(addresses)]
            opened.enter_context(way(port, address))
        assert [deliver(port, f"d{number}") for number in range(ROOM)] == [202] * ROOM
        assert connection.xlen(KEYS.inbox) == ROOM


@contextmanager
def coming_again(port: int, addresses: list[str]) -> Iterator[None]:
    """Run clients that keep opening streams and idle connections, and close their oldest ones."""
    over = threading.Event()

    def flood(address: str) -> None:
        opened: deque[socket.socket] = deque()
        while not over.is_set():
            opened.append(stream(port, address))
            opened.append(idle(port, address))
            while len(opened) > CROWD:
                opened.popleft().close()
        for connection in opened:
            connection.close()

    threads = [threading.Thread(target=flood, args=(address,)) for address in addresses]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@pytest.mark.parametrize("addresses", [OTHER, SEVERAL[:3]], ids=["one address", "three addresses"])
def test_deliveries_are_stored_while_a_crowd_comes_again_and_again(
    settings: BotSettings, connection: redis.Redis, addresses: list[str]
) -> None:
    """Each delivery gets 202 on a new and on a kept connection while clients keep opening connections."""
    with serving(settings, seconds=60) as port, coming_again(port, addresses), connect(port) as hub:
        for number in range(20):
            assert deliver(port, f"new-{number}") == 202
            hub.sendall(head(f"Webhook-Id: kept-{number}", length=len(BODY)) + BODY)
            assert status(stored(hub)) == 202
        assert connection.xlen(KEYS.inbox) == 40


def is_over(connection: socket.socket) -> bool:
    """Whether the server has closed `connection`; what it sent before is discarded."""
    connection.setblocking(False)
    try:
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def test_one_client_takes_no_place_of_another(settings: BotSettings, connection: redis.Redis) -> None:
    """At the limit the server closes an idle connection of the client with the most, and none of a smaller client."""
    with serving(settings, seconds=60) as port, idle(port, "127.0.0.3") as few, ExitStack() as opened:
        crowd = [opened.enter_context(half(port, "127.0.0.2"))]
        crowd += [opened.enter_context(idle(port, "127.0.0.2")) for _ in range(ROOM - 2)]
        assert deliver(port, "first") == 202
        assert wait_until(lambda: any(map(is_over, crowd)))
        assert not is_over(few)
        assert [is_over(connected) for connected in crowd].count(True) == 1
        assert not is_over(crowd[0]), "it is not idle"


def test_clients_behind_a_proxy_are_told_apart(settings: BotSettings, connection: redis.Redis) -> None:
    """The server counts connections by the address that a trusted proxy forwards: the largest client loses one."""

    def forwarded(client: str) -> socket.socket:
        return begun(port, "127.0.0.1", get("/events", f"X-Forwarded-For: {client}"), b"retry:")

    with serving(settings, seconds=60) as port, ExitStack() as opened:
        few = [opened.enter_context(forwarded(f"192.0.2.{number}")) for number in range(3)]
        crowd = [opened.enter_context(forwarded("198.51.100.7")) for _ in range(ROOM - len(few))]
        assert deliver(port, "first") == 202
        assert wait_until(lambda: any(map(is_over, crowd)))
        assert not any(map(is_over, few))


def test_a_delivery_that_is_being_stored_keeps_its_place(settings: BotSettings, connection: redis.Redis) -> None:
    """A slow delivery gets its answer even if its address meanwhile opens more connections than the limit."""
    with running(settings, seconds=60) as (server, port), connect(port) as hub, ExitStack() as opened:
        connection.client_pause(1_000, all=False)
        hub.sendall(head("Webhook-Id: slow", length=len(BODY)) + BODY)
        assert wait_until(lambda: server.server_state.tasks)
        for _ in range(CROWD):
            opened.enter_context(half(port, "127.0.0.1"))
        assert status(stored(hub)) == 202


def test_a_delivery_that_is_half_sent_keeps_its_place(settings: BotSettings, connection: redis.Redis) -> None:
    """Once the server has read a delivery's secret, many other connections do not cost it its connection."""
    with running(settings, seconds=60) as (server, port), connect(port) as hub, ExitStack() as opened:
        hub.sendall(head("Webhook-Id: slow", length=len(BODY)) + BODY[:5])
        assert wait_until(lambda: server.server_state.tasks)
        for _ in range(CROWD):
            opened.enter_context(half(port, "127.0.0.1"))
        hub.sendall(BODY[5:])
        assert status(stored(hub)) == 202


def test_one_client_watches_with_so_many_streams(
    settings: BotSettings, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past its limit of streams a client gets 503 until one of them ends; other clients can still open streams."""
    monkeypatch.setattr(live, "VIEWERS_OF_CLIENT", 2)

    def watches(address: str) -> bool:
        with connect(port, address) as browser:
            browser.sendall(get("/events", "Connection: close"))
            answer = browser.recv(65_536)
            while status(answer) == 503 and (more := browser.recv(65_536)):  # head and body may come apart
                answer += more
        if status(answer) == 503:
            assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == "too-many"
        return status(answer) == 200

    with serving(settings, seconds=60) as port, stream(port, "127.0.0.2"):
        with stream(port, "127.0.0.2"):
            assert not watches("127.0.0.2")
            assert watches("127.0.0.3")
        assert wait_until(lambda: watches("127.0.0.2"))
