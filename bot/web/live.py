"""Live pages: one reader of Redis for all viewers, and a stream of events for each of them.

While there are viewers, one task reads the queue when the index reports a change, and every few seconds for the
progress of running requests. Each viewer gets the newest snapshot and never a backlog: a slow reader skips older ones,
and one that reads nothing is disconnected. An event only says that the lists changed; the page then loads itself again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from bot.intake.clients import client_network
from bot.read_models import models
from bot.read_models.lists import QueueReader
from bot.web.answers import CannotAnswer
from redis_state.keys import Keys

VIEWERS, VIEWERS_OF_CLIENT = 400, 100
"""Streams at a time, of all clients and of one; further viewers get pages without updates."""
POLL_SECONDS, PAUSE_SECONDS = 2.0, 1.0
"""The longest time between two reads, and the shortest."""
KEEPALIVE_SECONDS, SEND_SECONDS = 15.0, 20.0
"""Silence after which a stream sends a comment; time that the client may take to receive one event."""
STREAM_SECONDS = 900.0
"""Duration of a stream; the page then opens another one by itself."""


SHOWN = 25
"""Rows of each list that are watched: as many as are on the first page of the queue."""
PROGRESS = {"path", "phase", "done", "total", "replayed"}
"""The fields of each running request in an event."""
FULL = models.ErrorResponse(
    code="too-many", message="Too many viewers watch already.", advice="Reload the page instead."
)


@dataclass(frozen=True)
class Snapshot:
    """The queue at one moment: a digest of all its `lists`, and the `progress` of running requests as JSON."""

    lists: str = ""
    progress: str = "[]"


class Live:
    """The viewers of one board, and the task that reads the queue for all of them."""

    def __init__(self, redis: AsyncRedis, keys: Keys, pages: QueueReader) -> None:
        self._redis, self._keys, self._pages = redis, keys, pages
        self._changed = asyncio.Event()
        """Set when `_last` changes, and then replaced. It needs no lock, which a cancelled viewer might not release."""
        self._task: asyncio.Task[None] | None = None
        self._last = Snapshot()
        self.viewers = self.reads = 0
        self._viewers_of: Counter[str] = Counter()
        """Network of a client → the number of its viewers."""
        self.is_over: Callable[[], bool] = lambda: False
        """Whether the server is about to stop: all streams then end, so that they do not delay it."""

    def is_full(self, client: str) -> bool:
        """Whether no more streams may begin: of all clients, or of the client with this address."""
        return self.viewers >= VIEWERS or self._viewers_of[client_network(client)] >= VIEWERS_OF_CLIENT

    async def stream(self, client: str = "") -> AsyncGenerator[bytes, None]:
        """The events for one viewer, whose address is `client`."""
        network = client_network(client)
        self._viewers_of[network] += 1
        self.viewers += 1
        if self.viewers == 1:
            self._last = Snapshot()  # the snapshot from before the last viewer left may be hours old
        try:
            clock = asyncio.get_running_loop()
            end, sent = clock.time() + STREAM_SECONDS, Snapshot()
            yield b"retry: 5000\n\n"
            while clock.time() < end and not self.is_over():
                self._ensure_reader()
                newest = await self._next(sent)
                if newest.progress != sent.progress:
                    yield f"event: progress\ndata: {newest.progress}\n\n".encode()
                if newest.lists != sent.lists:
                    yield f"event: lists\ndata: {newest.lists}\n\n".encode()
                if newest == sent:
                    yield b": alive\n\n"
                sent = newest
        finally:
            self.viewers -= 1
            self._viewers_of[network] -= 1
            if not self._viewers_of[network]:
                del self._viewers_of[network]

    def _ensure_reader(self) -> None:
        """Start the task that reads Redis if it does not run, or has failed, which asyncio logs."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._read_for_viewers())

    async def _next(self, sent: Snapshot) -> Snapshot:
        """The newest snapshot as soon as it differs from `sent`; `sent` after KEEPALIVE_SECONDS without a change."""
        try:
            async with asyncio.timeout(KEEPALIVE_SECONDS):
                while self._last == sent and not self.is_over():
                    await self._changed.wait()
        except TimeoutError:
            return sent
        return self._last

    async def _read_for_viewers(self) -> None:
        """Read snapshots for all viewers, until the last one has left."""
        while self.viewers and not self.is_over():
            try:
                place, snapshot = await run_in_threadpool(self._read)
                self.reads += 1
                if snapshot != self._last:
                    self._last = snapshot
                    self._notify()
                await self._wait(place)
            except RedisError:  # requests for pages report the error; viewers keep the last snapshot
                await asyncio.sleep(POLL_SECONDS)
        self._notify()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait(self, place: str) -> None:
        """Wait until the index reports a change after `place`: at least PAUSE_SECONDS, at most POLL_SECONDS."""
        await asyncio.sleep(PAUSE_SECONDS)
        milliseconds = int(1e3 * (POLL_SECONDS - PAUSE_SECONDS))
        await self._redis.xread({self._keys.request_changes: place}, block=milliseconds, count=1)

    def _read(self) -> tuple[str, Snapshot]:
        place = self._pages.context.index.changes()
        queue = self._pages.queue(limit=SHOWN)
        running = [(view.path, view.phase) for view in queue.running]
        rows = (queue.waiting, queue.held, running, queue.counts, place)
        lists = hashlib.sha256(repr(rows).encode("utf-8", "replace")).hexdigest()[:16]
        return place, Snapshot(lists, json.dumps([view.model_dump(include=PROGRESS) for view in queue.running]))


class Events(StreamingResponse):
    """A stream of events that ends if its client stops reading."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        self.events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded(message: object) -> None:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)  # type: ignore[arg-type]

        try:
            await super().__call__(scope, receive, bounded)
        except (TimeoutError, ClientDisconnect):
            return  # the client reads nothing; the server closes the connection
        finally:
            await self.events.aclose()  # at once, not at garbage collection, so that the viewer's place is free


def live_routes(live: Live) -> APIRouter:
    """`/events`, which pages listen to."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/events")
    async def events(request: Request) -> Response:
        client = request.client.host if request.client else ""
        if live.is_full(client):
            raise CannotAnswer(503, FULL, {"retry-after": "60"})
        return Events(live.stream(client))

    return routes
