"""Who may hold a connection to the web server, for how long, and how much they may send.

uvicorn waits for ever for a request that was begun, and reads headers without end. Here a message (its head and its
body) must be complete within SECONDS, a head may have HEAD_BYTES, a message the limit of deliveries and a head; and of
more than CONNECTIONS at once, the one that has kept us waiting longest for the rest of its message is let go. So slow
senders, whoever they are, take the place of each other and not of those who send what they have.

Bytes are counted by what the socket hands over at once, so that the bounds are exact to about a quarter of a megabyte.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

SECONDS = 20.0
HEAD_BYTES = 64_000
CONNECTIONS = 512


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's own protocol within bounds. Subclasses by `bounded_http` set them."""

    seconds = SECONDS
    message_bytes = 1_000_000 + HEAD_BYTES
    most = CONNECTIONS

    # protocol interface
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.waits_since: float | None = self.loop.time()
        """Since when we wait for the rest of a message; None while we owe the answer, or nothing was begun."""
        self._came, self._may_come = 0, HEAD_BYTES
        self._timer = self.loop.call_later(self.seconds, self._look)
        if len(self.connections) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        self._came += len(data)
        super().data_received(data)
        if self._came > self._may_come:
            self._cut_off(431 if self._may_come == HEAD_BYTES else 413)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    # parser callbacks
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.waits_since = self.loop.time()
        self._came, self._may_come = 0, HEAD_BYTES

    def on_headers_complete(self) -> None:
        self._may_come = self.message_bytes
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.waits_since = None
        super().on_message_complete()

    # bounds
    def _look(self) -> None:
        """Let the sender go if its message is overdue, else look again when it would be."""
        now = self.loop.time()
        due = (now if self.waits_since is None else self.waits_since) + self.seconds
        if due <= now:
            self._cut_off(408)
        else:
            self._timer = self.loop.call_at(due, self._look)

    def _cut_off(self, status: int) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(STATUS_LINE[status] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()

    def _make_room(self) -> None:
        """Let the slowest sender go: the newcomer itself where nobody else keeps us waiting."""
        slowest = min(self._others_we_wait_for(), key=lambda other: other.waits_since or 0.0, default=self)
        self.connections.discard(slowest)  # it is gone for good, even while its transport is closing
        slowest.transport.abort()

    def _others_we_wait_for(self) -> Iterator[BoundedHttp]:
        others = cast("set[BoundedHttp]", self.connections)
        return (other for other in others if other is not self and other.waits_since is not None)


def bounded_http(*, body: int, seconds: float = SECONDS, connections: int = CONNECTIONS) -> type[Any]:
    """The protocol whose messages may hold `body` bytes beside their heads."""
    bounds = {"message_bytes": body + HEAD_BYTES, "seconds": seconds, "most": connections}
    return type("BoundedHttpOfThisServer", (BoundedHttp,), bounds)
