"""Who may hold a connection to the web server, for how long, and how much they may send.

uvicorn waits for ever for a request that was begun, and reads headers without end. Here a message (its head and its
body) must be complete within SECONDS, a head may have HEAD_BYTES, a message the limit of deliveries and a head, and
who takes nothing of what we answer for UNREAD looks is let go. Of more than CONNECTIONS at once, the one goes that has
kept us waiting longest, for the rest of its message or to take our answer. So slow senders and slow readers, whoever
they are, take the place of each other and not of those who send what they have and read what they asked for.

Bytes are counted by what the socket hands over at once, so that the bounds are exact to about a quarter of a megabyte.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

SECONDS = 20.0
HEAD_BYTES = 64_000
CONNECTIONS = 512
UNREAD = 3
"""Looks, SECONDS apart, at which the same bytes may wait to be taken: the system's own buffers empty by fits."""


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
        self._answering: RequestResponseCycle | None = None
        self._unsent, self._unread = 0, 0
        self._owes_since = self.loop.time()
        """Since when, at the earliest, the bytes wait that the transport still holds."""
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
        if self._answering is not None:
            # uvicorn tells so the newest of several requests, and not the one that it is at.
            self._answering.disconnected = True
            self._answering.message_event.set()
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
        self.waits_since, self._owes_since = None, self.loop.time()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    # bounds
    def _look(self) -> None:
        """Let the other side go if its message is overdue or it does not read, else look again later."""
        now = self.loop.time()
        self._note_unsent(now)
        if self._unread >= UNREAD:
            self.transport.abort()  # closing would wait until all of it is taken
            return
        due = (now if self.waits_since is None else self.waits_since) + self.seconds
        if due <= now:
            self._cut_off(408)
            due = now + self.seconds
        self._timer = self.loop.call_at(due, self._look)

    def _note_unsent(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent and unsent == self._unsent:
            self._unread += 1
        else:
            self._unsent, self._unread, self._owes_since = unsent, 0, now

    def _cut_off(self, status: int) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(STATUS_LINE[status] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()

    def _make_room(self) -> None:
        """Let the slowest go: the newcomer itself where nobody else keeps us waiting."""
        others = cast("set[BoundedHttp]", self.connections) - {self}
        waited_for = [(since, other) for other in others if (since := other.keeps_waiting_since()) is not None]
        slowest = min(waited_for, key=lambda pair: pair[0], default=(0.0, self))[1]
        self.connections.discard(slowest)  # it is gone for good, even while its transport is closing
        slowest.transport.abort()

    def keeps_waiting_since(self) -> float | None:
        """Since when we wait for the other side to send or to read; None where it is our turn, or nobody's."""
        if self.waits_since is not None:
            return self.waits_since
        return self._owes_since if self.transport.get_write_buffer_size() else None


def bounded_http(*, body: int, seconds: float = SECONDS, connections: int = CONNECTIONS) -> type[Any]:
    """The protocol whose messages may hold `body` bytes beside their heads."""
    bounds = {"message_bytes": body + HEAD_BYTES, "seconds": seconds, "most": connections}
    return type("BoundedHttpOfThisServer", (BoundedHttp,), bounds)
