"""Serves the pages of a board until the caller is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
import uvicorn

from bot.core.settings import BotSettings
from bot.processes.web_app import create_app, server_config
from redis_state.keys import Keys
from steward.valkey import Valkey
from tests.support.browser.seeded_large_board import BOARD

FillBoard = Callable[[redis.Redis, Keys], None]


@dataclass(frozen=True)
class ServedSite:
    """The address of a served board, a client of its queue server, and its keys in Redis."""

    address: str
    redis: redis.Redis
    keys: Keys


@contextmanager
def serving(
    valkey: Valkey,
    folder: Path,
    name: str,
    fill_board: FillBoard | None = None,
    *,
    framed_by: str = "",
    suite: str = "open-llm-v2",
) -> Iterator[ServedSite]:
    """Serve the board `name`, filled before its server starts; pages of the origin `framed_by` may embed it."""
    board = folder / f"{name}.yaml"
    board.write_text(BOARD.format(name=name, suite=suite))
    keys = Keys(name)
    with redis.Redis.from_url(valkey.url) as client:
        if fill_board is not None:
            fill_board(client, keys)
        settings = BotSettings(
            redis_url=valkey.url, board=board, webhook_secret="s3cret", port=0, frame_ancestors=framed_by
        )
        app = create_app(settings)
        server = uvicorn.Server(server_config(app, settings))
        app.live.is_over = lambda: server.should_exit
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started and thread.is_alive():
                thread.join(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield ServedSite(f"http://127.0.0.1:{port}", client, keys)
        finally:
            server.should_exit = True
            thread.join()
