"""Live pages: one reader of Redis for all who watch, and a stream of events for each of them.

While anybody watches, one task looks at the queue when the index tells of a change, and every few seconds for the
progress of what runs. Each viewer is sent the newest look and never a backlog: who reads slowly skips what is old, and
who does not read at all is let go. What a viewer sees of the lists is the page itself, fetched anew when it changed.
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
"""Streams at a time, of all clients and of one; whoever comes later looks at pages that stand still."""
EVERY, PAUSE = 2.0, 1.0
"""Seconds between two looks where nothing is told, and at least between any two."""
ALIVE, STALLED = 15.0, 20.0
"""Seconds after which a silent stream says that it lives; those that one piece may take to be sent."""
LASTS = 900.0
"""Seconds after which a stream ends; the page opens another one by itself."""


SHOWN = 25
"""Rows of each list that are watched: as many as are on the first page of the queue."""
FULL = models.ErrorResponse(code="too-many", message="Too many watch already.", advice="Reload the page instead.")


@dataclass(frozen=True)
class Look:
    """What a look saw: `lists` is another word whenever who waits, runs or ended is another; `told` the progress."""

    lists: str = ""
    told: str = "[]"


class Live:
    """The viewers of one board."""

    def __init__(self, redis: AsyncRedis, keys: Keys, pages: QueueReader) -> None:
        self._redis, self._keys, self._pages = redis, keys, pages
        self._changed = asyncio.Event()
        """Set when `_last` changes, and then replaced. No lock is held: viewers are cancelled at any moment."""
        self._task: asyncio.Task[None] | None = None
        self._last = Look()
        self.viewers = self.looks = 0
        self._of_client: Counter[str] = Counter()
        self.is_over: Callable[[], bool] = lambda: False
        """Says that the server is about to stop, so that no stream holds it up."""

    def is_full(self, client: str) -> bool:
        """Whether no more streams may begin: at all, or of the client with this address."""
        return self.viewers >= VIEWERS or self._of_client[client_network(client)] >= VIEWERS_OF_CLIENT

    async def stream(self, client: str = "") -> AsyncGenerator[bytes, None]:
        """The events of one viewer, who asks from the address `client`."""
        network = client_network(client)
        self._of_client[network] += 1
        self.viewers += 1
        if self.viewers == 1:
            self._last = Look()  # what was seen before the last viewer left may be hours old
        try:
            clock = asyncio.get_running_loop()
            end, seen = clock.time() + LASTS, Look()
            yield b"retry: 5000\n\n"
            while clock.time() < end and not self.is_over():
                self._have_watched()
                look = await self._next(seen)
                for name, word, before in (("progress", look.told, seen.told), ("lists", look.lists, seen.lists)):
                    if word != before:
                        yield f"event: {name}\ndata: {word}\n\n".encode()
                if look == seen:
                    yield b": alive\n\n"
                seen = look
        finally:
            self.viewers -= 1
            self._of_client[network] -= 1
            if not self._of_client[network]:
                del self._of_client[network]

    def _have_watched(self) -> None:
        """Start the task that looks, where there is none; also after one that failed, which asyncio logs."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())

    async def _next(self, seen: Look) -> Look:
        """The newest look, once it is another than `seen`; the same after a while in which nothing happened."""
        try:
            async with asyncio.timeout(ALIVE):
                while self._last == seen and not self.is_over():
                    await self._changed.wait()
        except TimeoutError:
            return seen
        return self._last

    async def _watch(self) -> None:
        """Look for all viewers, until the last one has left."""
        while self.viewers and not self.is_over():
            try:
                place, found = await run_in_threadpool(self._look)
                self.looks += 1
                if found != self._last:
                    self._last = found
                    self._tell()
                await self._wait(place)
            except RedisError:  # the pages say so to whoever asks; those who watch see what was last
                await asyncio.sleep(EVERY)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait(self, place: str) -> None:
        """Return a moment after the index told of a change since `place`, at the latest after EVERY seconds."""
        await asyncio.sleep(PAUSE)
        await self._redis.xread({self._keys.request_changes: place}, block=int(1e3 * (EVERY - PAUSE)), count=1)

    def _look(self) -> tuple[str, Look]:
        place = self._pages.context.index.changes()
        queue = self._pages.queue(limit=SHOWN)
        running = [(one.path, one.phase) for one in queue.running]
        rows = (queue.waiting, queue.held, running, queue.counts, place)
        lists = hashlib.sha256(repr(rows).encode("utf-8", "replace")).hexdigest()[:16]
        return place, Look(lists, json.dumps([_progress(one) for one in queue.running]))


def _progress(one: models.RunningRequestView) -> dict[str, object]:
    return {"path": one.path, "phase": one.phase, "done": one.done, "total": one.total}


class Events(StreamingResponse):
    """A stream of events that ends where its reader takes nothing any more."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        super().__init__(events, headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        self.events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def bounded(message: object) -> None:
            async with asyncio.timeout(STALLED):
                await send(message)  # type: ignore[arg-type]

        try:
            await super().__call__(scope, receive, bounded)
        except (TimeoutError, ClientDisconnect):
            return  # nobody reads; the server closes the connection
        finally:
            await self.events.aclose()  # at once, and not when the collector comes by: the viewer's place is free


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
