"""A web server with its bounds drawn in, and those who send to it over raw sockets."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from bot.core.settings import BotSettings
from bot.processes.web_app import create_app, server_config
from bot.web.connections import bounded_http
from redis_state.keys import Keys
from tests.support.board.board_file import SECRET

KEYS = Keys("demo")
LIMIT = 100_000
"""Bytes that a delivery may hold, as the settings of these tests have it."""
PATIENCE = 0.5
"""Seconds for which this server waits for the rest of a message."""
ROOM, RESERVED = 6, 2
"""Connections that it holds at once, and those beside them that are reserved for deliveries."""
BODY = json.dumps({"event": {"scope": "repo"}, "repo": {"name": "a/b"}}).encode()


@contextmanager
def running(
    settings: BotSettings, *, seconds: float = PATIENCE, connections: int = ROOM
) -> Iterator[tuple[uvicorn.Server, int]]:
    """A web server with these bounds, and its port."""
    config = server_config(create_app(settings), settings)
    config.http = bounded_http(body=LIMIT, seconds=seconds, connections=connections, reserved=RESERVED)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            thread.join(0.01)
        yield server, int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serving(settings: BotSettings, *, seconds: float = PATIENCE, connections: int = ROOM) -> Iterator[int]:
    """A web server with these bounds; its port."""
    with running(settings, seconds=seconds, connections=connections) as (_, found):
        yield found


def head(*lines: str, secret: str = SECRET, length: int | None = None) -> bytes:
    """The head of a delivery."""
    own = [f"X-Webhook-Secret: {secret}"] if secret else []
    own += [f"Content-Length: {length}"] if length is not None else []
    return "\r\n".join(["POST /webhooks/hub HTTP/1.1", "Host: x", *own, *lines, "", ""]).encode("latin-1")


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    """A connection from `address` that gives up after thirty seconds."""
    return socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(address, 0))


def answers(connection: socket.socket) -> bytes:
    """All that the server says until it closes the connection."""
    said = b""
    try:
        while chunk := connection.recv(65_536):
            said += chunk
    except ConnectionError:
        pass  # closed while we had more to say
    return said


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection on which it said nothing."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def status(said: bytes) -> int:
    """The status of the first answer; 0 where there is none."""
    return int(said.split(b" ", 2)[1]) if said else 0


def stored(connection: socket.socket) -> bytes:
    """One whole answer on a connection that stays open: it may come in pieces."""
    said = b""
    while not said.endswith((b"stored", b"known")):
        piece = connection.recv(1_000)
        assert piece, said
        said += piece
    return said


def deliver(port: int, name: str) -> int:
    """Send a delivery as the Hub does; the status of the answer."""
    with connect(port) as sender:
        sender.sendall(head(f"Webhook-Id: {name}", "Connection: close", length=len(BODY)) + BODY)
        return status(answers(sender))
