"""Bounds on the connections of the web server: their number, and the time and the bytes of each message.

A message (its head and its body) must be complete within SECONDS, a head may have HEAD_BYTES, and a message the limit
of deliveries and a head. A client that reads nothing of its answers during UNREAD checks is disconnected. After a
refusal, the sender may go on up to LEFTOVER bytes, which are dropped, so that it reads the answer instead of a reset.

A new connection is always accepted. If there are then more than CONNECTIONS, the server closes another one, of the
client that holds the most: an idle one first, then the one whose state has not changed for longest. So a client that
opens many connections loses its own and not those of others. A client is identified by its address, or by the address
that a proxy named in FORWARDED_ALLOW_IPS forwards. A request that the application calls `reserve` for keeps its
connection until it is answered: RESERVED further places are for such requests.

Why this is code of our own: uvicorn's `limit_concurrency` answers 503 to all requests, webhooks too, once one client
holds that many connections; any request renews `timeout_keep_alive`; and uvicorn bounds neither the time nor the size
of a message (with h11 it bounds the head). A reverse proxy can bound all of this if its operator configures it so, but
`steward up` runs without a proxy, and the proxy of a hosting service has no such settings.

Bytes are counted in the pieces in which the socket returns them, so the bounds are exact to about a quarter of a
megabyte.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from bot.intake.clients import client_network, is_reserved

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application

SECONDS = 20.0
HEAD_BYTES = 64_000
LEFTOVER = 8_000_000
CONNECTIONS, RESERVED = 512, 128
UNREAD = 3
"""Successive checks, SECONDS apart, that may find the same number of unread bytes: system buffers empty in bursts."""


class AnswerTransport:
    """The transport that uvicorn answers through. `close` lets the sender of an unfinished message read the answer."""

    def __init__(self, connection: BoundedHttp) -> None:
        self.write, self.is_closing = connection.transport.write, connection.transport.is_closing
        self.close = connection.close_answered


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol with bounds, which `bounded_http` sets in a subclass."""

    seconds = SECONDS
    message_bytes = 1_000_000 + HEAD_BYTES
    most, reserved = CONNECTIONS, RESERVED

    # protocol interface
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.is_receiving = True
        """Whether the connection waits for the rest of a message, or for its first message."""
        self.since = self.loop.time()
        """When the connection was made, or its newest message began or was complete."""
        self._received, self._receivable = 0, HEAD_BYTES
        self._answering: RequestResponseCycle | None = None
        self._answers = cast("asyncio.Transport", AnswerTransport(self))
        self._lingers = False
        self._unsent, self._unread = 0, 0
        self._timer = self.loop.call_later(self.seconds, self._look)
        if len(self.connections) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if not self._lingers:
            super().data_received(data)
            if self._received > self._receivable:
                self._refuse(431 if self._receivable == HEAD_BYTES else 413)
                self._linger()
        elif self._received > LEFTOVER:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._disconnect()
        super().connection_lost(exc)

    # parser callbacks
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.is_receiving, self.since = True, self.loop.time()
        self._received, self._receivable = 0, HEAD_BYTES

    def on_headers_complete(self) -> None:
        self._receivable = self.message_bytes
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self.is_receiving, self.since = False, self.loop.time()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering, cycle.transport = cycle, self._answers
        super()._start_asgi_task(cycle, app)

    # time and size
    def _look(self) -> None:
        """Close the connection if its message is overdue or the client does not read, else check again later."""
        now = self.loop.time()
        unsent = self.transport.get_write_buffer_size()
        self._unread = self._unread + 1 if unsent and unsent == self._unsent else 0
        self._unsent = unsent
        if self._unread >= UNREAD:
            self.transport.abort()  # `close` would wait until the client has read everything
            return
        due = (self.since if self.is_receiving else now) + self.seconds
        if due <= now:
            self._refuse(408)
            self.transport.close()
            due = now + self.seconds
        self._timer = self.loop.call_at(due, self._look)

    def _refuse(self, status: int) -> None:
        """Answer the message that is being received, unless it has an answer or an earlier one waits for its own."""
        if self._receivable == HEAD_BYTES:  # the newest cycle is that of the previous message
            is_due = self.cycle is None or self.cycle.response_complete
        else:
            is_due = self.cycle is self._answering and not self.cycle.response_started
        if is_due and not self._lingers and not self.transport.is_closing():
            self.transport.write(STATUS_LINE[status] + b"connection: close\r\ncontent-length: 0\r\n\r\n")
            self._disconnect()

    def close_answered(self) -> None:
        """Close after an answer, without leaving unread bytes, for which the system would reset the connection."""
        if self.is_receiving and not self._lingers:
            self._linger()
        else:
            self.transport.close()

    def _linger(self) -> None:
        """Send no further answers, and drop received bytes until the sender closes or its time is over."""
        self._lingers = True
        self._disconnect()
        self.pipeline.clear()
        self.flow.resume_reading()
        if not self.transport.is_closing():
            self.transport.write_eof()

    def _disconnect(self) -> None:
        """Notify the application. uvicorn notifies the newest of several requests, not the one being answered."""
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()

    # places
    def _make_room(self) -> None:
        """Close a connection if there are too many: this new one if all others are reserved and being answered."""
        held = cast("set[BoundedHttp]", self.connections)
        ordinary = [(connection.client_network(), connection) for connection in held if not connection.is_reserved()]
        if len(ordinary) + max(0, len(held) - len(ordinary) - self.reserved) <= self.most:
            return
        held_by = Counter(client for client, _ in ordinary)
        others = [
            (-held_by[client], not connection.is_idle(), connection.since, connection)
            for client, connection in ordinary
            if connection is not self
        ]
        unanswered = [
            connection for connection in held if connection.is_reserved() and not connection.is_being_answered()
        ]
        if others:
            closed = min(others, key=lambda ranked: ranked[:3])[3]
        else:
            closed = min(unanswered, key=lambda connection: connection.since, default=self)
        self.connections.discard(closed)  # it no longer counts, even while its transport is closing
        closed.transport.abort()

    def client_network(self) -> str:
        """The client of the newest request; its scope holds the address that a trusted proxy forwarded."""
        client = self.scope["client"] if self.scope else self.client
        return client_network(client[0]) if client else ""

    def is_reserved(self) -> bool:
        """Whether the application has called `reserve` for the newest request."""
        return is_reserved(self.scope)

    def is_being_answered(self) -> bool:
        """Whether a whole message waits for its answer."""
        return not self.is_receiving and not self.cycle.response_complete

    def is_idle(self) -> bool:
        """Whether every received message is answered, and the client has read the answers."""
        return not self.is_receiving and self.cycle.response_complete and not self.transport.get_write_buffer_size()


def bounded_http(
    *, body: int, seconds: float = SECONDS, connections: int = CONNECTIONS, reserved: int = RESERVED
) -> type[Any]:
    """The protocol class for messages of at most `body` bytes plus their heads."""
    bounds = {"message_bytes": body + HEAD_BYTES, "seconds": seconds, "most": connections, "reserved": reserved}
    return type("BoundedHttpOfThisServer", (BoundedHttp,), bounds)
