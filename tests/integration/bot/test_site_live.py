"""The stream of events: one reader for all viewers, the newest state for each, and no viewer that blocks the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis

from bot.core.context import BoardContext
from bot.intake.inbox import connect_inbox
from bot.read_models.lists import QueueReader
from bot.web import live as module
from bot.web.live import Events, Live
from hub.client import Hub
from leaderboard.boards import parse_board
from leaderboard.suites import find_suite
from redis_state import clock
from redis_state.attempts import AttemptProgress, Attempts
from redis_state.board.index import Index
from redis_state.keys import Keys
from tests.support.board.seeded_board import entry, fill_board, path_of

KEYS = Keys("demo")
ATTEMPT = f"{0:012x}-deadbeef-1"
SECONDS = 10.0


@pytest.fixture
def context(connection: redis.Redis) -> Iterator[BoardContext]:
    """The context of a board with requests, on a Hub that does not answer."""
    from steward.testing.board import BOARD

    fill_board(connection, KEYS)
    hub = Hub("http://127.0.0.1:9", None)
    yield BoardContext(board=parse_board(BOARD), suite=find_suite("starter"), hub=hub, redis=connection, now=clock.now)
    hub.close()


def played(
    context: BoardContext, url: str, monkeypatch: pytest.MonkeyPatch, story: Callable[[Live], Awaitable[None]]
) -> None:
    """Run `story` with a `Live` that polls often."""
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)

    async def play() -> None:
        client = connect_inbox(url)
        try:
            async with asyncio.timeout(SECONDS):
                await story(Live(client, KEYS, QueueReader(context)))
        finally:
            await client.aclose()

    asyncio.run(play())


def beat(connection: redis.Redis) -> None:
    """Report 413 of 540 requests as done in the first running evaluation."""
    progress, path = AttemptProgress("evaluate", 413, 540, 7), path_of("north/spruce-3b")
    Attempts(connection, KEYS).beat(ATTEMPT, progress, now=clock.now(), worker="gpu-0", path=path)


async def until(stream: AsyncIterator[bytes], word: bytes) -> bytes:
    """Return the next piece of the stream that contains `word`."""
    async for piece in stream:
        if word in piece:
            return piece
    raise AssertionError(f"the stream ended without {word!r}")


def test_viewers_see_progress_and_changes(
    context: BoardContext, connection: redis.Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of many viewers gets every event; one task reads for all of them, and stops when the last has left."""

    async def story(live: Live) -> None:
        streams = [live.stream() for _ in range(50)]
        first = await asyncio.gather(*(until(stream, b"event: lists") for stream in streams))
        assert len(set(first)) == 1
        beat(connection)
        received = await asyncio.gather(*(until(stream, b"event: progress") for stream in streams))
        assert all(b'"done": 413, "total": 540, "replayed": 7' in stream for stream in received)
        looks = live.reads
        Index(connection, KEYS).put(entry("late/comer", "waiting", "PENDING", attempt="z"))
        second = await asyncio.gather(*(until(stream, b"event: lists") for stream in streams))
        assert set(second).isdisjoint(first)
        assert live.viewers == 50
        assert live.reads - looks < 50
        for stream in streams:
            await stream.aclose()  # type: ignore[attr-defined]
        assert live.viewers == 0
        assert live._task is not None
        await live._task

    played(context, valkey_url, monkeypatch, story)


def test_a_look_that_fails_leaves_nobody_without_the_next(
    context: BoardContext, connection: redis.Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a read fails with any error, viewers still get the events that follow."""
    monkeypatch.setattr(module, "KEEPALIVE_SECONDS", 0.05)

    async def story(live: Live) -> None:
        stream = live.stream()
        first = await until(stream, b"event: lists")
        look = live._read
        monkeypatch.setattr(live, "_read", lambda: 1 / 0)
        assert live._task is not None
        await asyncio.wait([live._task])
        monkeypatch.setattr(live, "_read", look)
        Index(connection, KEYS).put(entry("late/comer", "waiting", "PENDING", attempt="z"))
        assert await until(stream, b"event: lists") != first

    played(context, valkey_url, monkeypatch, story)


def test_viewers_who_leave_together_leave_the_others_their_news(
    context: BoardContext, connection: redis.Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer gets further events after twenty others were cancelled at the same moment, each more than once."""

    async def story(live: Live) -> None:
        stays = live.stream()
        first = await until(stays, b"event: lists")
        streams = [live.stream() for _ in range(20)]
        await asyncio.gather(*(until(stream, b"event: lists") for stream in streams))
        leave = [asyncio.create_task(until(stream, b"never")) for stream in streams]
        for _ in range(5):
            await asyncio.sleep(0)  # all of them wait
        for _ in range(3):
            for stream in leave:
                stream.cancel()
            await asyncio.sleep(0)
        assert all(
            isinstance(end, asyncio.CancelledError) for end in await asyncio.gather(*leave, return_exceptions=True)
        )
        Index(connection, KEYS).put(entry("late/comer", "waiting", "PENDING", attempt="z"))
        assert await until(stays, b"event: lists") != first

    played(context, valkey_url, monkeypatch, story)


def test_who_comes_first_is_not_told_what_the_last_one_saw(
    context: BoardContext, connection: redis.Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A first viewer after a break is sent the present state, not the one that the last viewer saw."""

    async def story(live: Live) -> None:
        early = live.stream()
        await until(early, b"event: progress")
        await early.aclose()
        assert live._task is not None
        await live._task
        beat(connection)
        assert b'"done": 413' in await until(live.stream(), b"event: progress")

    played(context, valkey_url, monkeypatch, story)


def test_private_models_are_not_told_of(
    context: BoardContext, connection: redis.Redis, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Progress of a private model is sent without its name."""
    index = Index(connection, KEYS)
    index.put(entry("north/spruce-3b", "running", "RUNNING", number=3, attempt=ATTEMPT, access="private"))

    async def story(live: Live) -> None:
        piece = await until(live.stream(), b"event: progress")
        assert b"spruce" not in piece
        assert b"maple" in piece

    played(context, valkey_url, monkeypatch, story)


def test_streams_end_when_the_server_stops(
    context: BoardContext, valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A viewer's stream ends when the server stops."""

    async def story(live: Live) -> None:
        stream = live.stream()
        await until(stream, b"event: lists")
        live.is_over = lambda: True
        async for _ in stream:
            pass

    played(context, valkey_url, monkeypatch, story)


def test_who_does_not_read_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends the stream to a viewer whose connection accepts no more data."""
    monkeypatch.setattr(module, "SEND_SECONDS", 0.05)
    ended = list[bool]()

    async def endless() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x"
        finally:
            ended.append(True)

    async def stuck(message: Any) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async def silent() -> Any:
        await asyncio.Event().wait()

    async def play() -> None:
        async with asyncio.timeout(SECONDS):
            await Events(endless())({"type": "http", "asgi": {"spec_version": "2.4"}}, silent, stuck)

    asyncio.run(play())
    assert ended == [True]
