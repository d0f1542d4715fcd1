"""A board that runs: a real web server takes the deliveries of a Hub of our own, and two loops sync."""

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
from tests.support.board.board_driver import BoardDriver
from tests.support.board.board_file import BOARD, SECRET
from tests.support.board.worlds import open_board

LOOPS = 2


@contextmanager
def served(settings: BotSettings) -> Iterator[str]:
    """A web server; its address."""
    server = uvicorn.Server(server_config(create_app(settings), settings))
    runs = threading.Thread(target=server.run)
    runs.start()
    try:
        while not server.started:
            runs.join(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        runs.join()


@contextmanager
def client_of(settings: BotSettings) -> Iterator[httpx2.Client]:
    """A client of a web server."""
    with served(settings) as url, httpx2.Client(base_url=url, timeout=30) as client:
        yield client


@contextmanager
def serving(settings: BotSettings) -> Iterator[str]:
    """A web server that takes deliveries; where."""
    with served(settings) as url:
        yield f"{url}/webhooks/hub"


@contextmanager
def syncing(stand: BoardDriver) -> Iterator[None]:
    """Loops that sync whatever is dirty."""
    stand.context.now = clock.now
    loops = [SyncLoop(stand.context) for _ in range(LOOPS)]
    threads = [threading.Thread(target=loop.run) for loop in loops]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        for loop in loops:
            loop.stop()
        for one in threads:
            one.join()


@contextmanager
def telling(stand: BoardDriver, folder: Path, url: str) -> Iterator[None]:
    """Whatever happens on the Hub in the repos in which people speak is delivered, and nothing of it is too much."""
    (folder / "board.yaml").write_text(BOARD)
    settings = BotSettings(redis_url=url, board=folder / "board.yaml", webhook_secret=SECRET, port=0)
    policy = stand.hub.state.webhooks.policy
    stand.hub.state.webhooks.policy = type(policy)(**{**vars(policy), "quota": 1_000_000})
    context = stand.context
    watched = [WatchedItem(repo.kind, repo.id) for repo in (context.requests, context.community)]
    with serving(settings) as door:
        for domain in ("repo", "discussion"):
            context.hub.ensure_webhook(door, watched, [domain], SECRET)
        yield


@contextmanager
def running(
    folder: Path, world: HubWorld, connection: redis.Redis, url: str, probe: Probe, **board: Any
) -> Iterator[BoardDriver]:
    """A board on `world`, all of it running; `board` is what is other than in `board_file.BOARD`."""
    with open_board(world, folder / "hub", connection, probe) as stand:
        try:
            stand.context.board = stand.context.board.model_copy(update=board)
            stand.context.me()
            with telling(stand, folder, url), syncing(stand):
                yield stand
        finally:
            stand.hub.state.faults.clear()
