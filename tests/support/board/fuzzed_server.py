"""A web server for fuzzed calls, of a board on which texts that users can set are hostile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import redis

from bot.core.settings import BotSettings
from leaderboard.attempts import Failure
from redis_state.board.entry import IndexEntry
from redis_state.board.index import Index
from redis_state.board.request_snapshot import RequestSnapshot
from redis_state.keys import Keys
from steward.testing.board import BOARD, SECRET
from steward.testing.running import client_of
from steward.valkey import Valkey

HOSTILE = "<script>alert(1)</script>"


@contextmanager
def fuzzed(valkey: Valkey, folder: Path) -> Iterator[httpx2.Client]:
    """Yield a client of the server, which answers checks at once instead of waiting for a result."""
    (folder / "board.yaml").write_text(BOARD.replace("name: demo", "name: fuzzed"))
    settings = BotSettings(
        redis_url=valkey.url,
        board=folder / "board.yaml",
        webhook_secret=SECRET,
        port=0,
        checks_per_minute=5,
        oauth_client_id="an-app",
        oauth_client_secret=SECRET,
        public_url="http://127.0.0.1",
    )
    with redis.Redis.from_url(valkey.url) as connection:
        fill(Index(connection, Keys("fuzzed")))
    with pytest.MonkeyPatch.context() as patch, client_of(settings) as client:
        patch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
        yield client


def fill(index: Index) -> None:
    """Write a few requests to the index, with hostile texts in fields that users can set."""
    failure = Failure(cause="odd", fault="unknown", message=HOSTILE, advice=HOSTILE)
    for number in range(30):
        path = f"ada/m{number}_eval_request_False_float16_Original.json"
        standing = RequestSnapshot(
            status="FAILED" if number % 2 else "PENDING", time=float(number // 4), failure=failure
        )
        state = "settled" if number % 2 else "waiting"
        index.put(IndexEntry(path=path, model=HOSTILE, state=state, submitter="é" * 40, attempt="x", standing=standing))
    index.put(IndexEntry(path="no request at all", standing=RequestSnapshot(time=1e300)))
    index.put(IndexEntry(path="another.json", standing=RequestSnapshot(time=-5.0), submitted=float("1e18")))
