"""A web server with small limits, and clients that write to raw sockets."""

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
from steward.testing.board import SECRET
from steward.testing.waiting import wait_until

KEYS = Keys("demo")
LIMIT = 100_000
"""Bytes that the body of a delivery may have."""
PATIENCE = 0.5
"""Seconds for which this server waits for the rest of a message."""
ROOM, RESERVED = 6, 2
"""Connections that the server holds at once, and further connections that are reserved for deliveries."""
BODY = json.dumps({"event": {"scope": "repo"}, "repo": {"name": "a/b"}}).encode()


@contextmanager
def running(
    settings: BotSettings, *, seconds: float = PATIENCE, connections: int = ROOM
) -> Iterator[tuple[uvicorn.Server, int]]:
    """A web server with these limits; yields the server and its port."""
    config = server_config(create_app(settings), settings)
    config.http = bounded_http(body=LIMIT, seconds=seconds, connections=connections, reserved=RESERVED)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), interval=0.01)
        assert server.started
        yield server, int(server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def serving(settings: BotSettings, *, seconds: float = PATIENCE, connections: int = ROOM) -> Iterator[int]:
    """A web server with these limits; yields its port."""
    with running(settings, seconds=seconds, connections=connections) as (_, port):
        yield port


def head(*lines: str, secret: str = SECRET, length: int | None = None) -> bytes:
    """Return the head of a delivery."""
    own = [f"X-Webhook-Secret: {secret}"] if secret else []
    own += [f"Content-Length: {length}"] if length is not None else []
    return "\r\n".join(["POST /webhooks/hub HTTP/1.1", "Host: x", *own, *lines, "", ""]).encode("latin-1")


def connect(port: int, address: str = "127.0.0.1") -> socket.socket:
    """Open a connection from `address`, with a timeout of thirty seconds."""
    return socket.create_connection(("127.0.0.1", port), timeout=30, source_address=(address, 0))


def answers(connection: socket.socket) -> bytes:
    """Read until the server closes the connection; return what it sent."""
    response = b""
    try:
        while chunk := connection.recv(65_536):
            response += chunk
    except ConnectionError:
        pass  # the server closed it before it had read everything
    return response


def is_closed(connection: socket.socket) -> bool:
    """Whether the server has closed a connection to which it sent nothing."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


def status(response: bytes) -> int:
    """Return the status of the first response, or 0 if there is none."""
    return int(response.split(b" ", 2)[1]) if response else 0


def stored(connection: socket.socket) -> bytes:
    """Read one whole response from a connection that stays open."""
    response = b""
    while not response.endswith((b"stored", b"known")):
        piece = connection.recv(1_000)
        assert piece, response
        response += piece
    return response


def deliver(port: int, name: str) -> int:
    """Send a delivery as the Hub does; return the status of the response."""
    with connect(port) as sender:
        sender.sendall(head(f"Webhook-Id: {name}", "Connection: close", length=len(BODY)) + BODY)
        return status(answers(sender))
