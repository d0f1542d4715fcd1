"""A running board: a web server takes the deliveries of a local Hub, and two loops sync."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import redis
import uvicorn

from bot.core.settings import BotSettings
from bot.probe import Probe
from bot.processes.sync_loop import SyncLoop
from bot.processes.web_app import create_app, server_config
from hub.records import WatchedItem
from localhub.testing import HubWorld
from redis_state import clock
from steward.testing.board import BOARD, SECRET, BoardDriver
from steward.testing.hub import open_board
from steward.testing.waiting import wait_until

LOOPS = 2


@contextmanager
def served(settings: BotSettings) -> Iterator[str]:
    """A web server; yields its address."""
    server = uvicorn.Server(server_config(create_app(settings), settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive(), interval=0.01)
        assert server.started
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def client_of(settings: BotSettings) -> Iterator[httpx2.Client]:
    """A client of a web server."""
    with served(settings) as url, httpx2.Client(base_url=url, timeout=30) as client:
        yield client


@contextmanager
def serving(settings: BotSettings) -> Iterator[str]:
    """A web server; yields the address to which webhooks post."""
    with served(settings) as url:
        yield f"{url}/webhooks/hub"


@contextmanager
def syncing(stand: BoardDriver) -> Iterator[None]:
    """Sync loops on threads, as many as LOOPS."""
    stand.context.now = clock.now
    loops = [SyncLoop(stand.context) for _ in range(LOOPS)]
    threads = [threading.Thread(target=loop.run) for loop in loops]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.stop()
        for thread in threads:
            thread.join()


@contextmanager
def delivering_webhooks(stand: BoardDriver, folder: Path, url: str) -> Iterator[None]:
    """Webhooks on the repos with discussions deliver to a web server, without a limit on their number."""
    (folder / "board.yaml").write_text(BOARD)
    settings = BotSettings(redis_url=url, board=folder / "board.yaml", webhook_secret=SECRET, port=0)
    policy = stand.hub.state.webhooks.policy
    stand.hub.state.webhooks.policy = type(policy)(**{**vars(policy), "quota": 1_000_000})
    context = stand.context
    watched = [WatchedItem(repo.kind, repo.id) for repo in (context.requests, context.community)]
    with serving(settings) as address:
        for domain in ("repo", "discussion"):
            context.hub.ensure_webhook(address, watched, [domain], SECRET)
        yield


@contextmanager
def running(
    folder: Path, world: HubWorld, connection: redis.Redis, url: str, probe: Probe, **board: Any
) -> Iterator[BoardDriver]:
    """A running board on `world`; `board` are fields that differ from `board.BOARD`."""
    with open_board(world, folder / "hub", connection, probe, BoardDriver) as stand:
        try:
            stand.context.board = stand.context.board.model_copy(update=board)
            stand.context.me()
            with delivering_webhooks(stand, folder, url), syncing(stand):
                yield stand
        finally:
            stand.hub.state.faults.clear()
