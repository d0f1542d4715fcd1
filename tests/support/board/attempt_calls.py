"""An attempt of a board with a backend: its token, its outcome, and the board's web server.

Test files assign its fixtures to the names `settings`, `web` and `connection`; one web server serves all their tests.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import redis

from bot.core.attempt_tokens import AttemptGrant, AttemptTokens
from bot.core.settings import BotSettings
from leaderboard.attempts import Outcome, attempt_id
from redis_state.keys import Keys
from steward.testing.board import BOARD as BOARD_FILE
from steward.testing.board import OLD_SECRET, SECRET
from steward.testing.running import client_of
from steward.valkey import Valkey

BOARD = "demo"
PATH = "ada/good_eval_request_False_bfloat16_Original.json"
REVISION = "a" * 40
ATTEMPT = attempt_id(BOARD, PATH, REVISION, 1)
OTHER = attempt_id(BOARD, "bob/other_eval_request_False_bfloat16_Original.json", REVISION, 1)
KEYS = Keys(BOARD)
WORKER = "machine-1-abc"
BACKENDS = "backends: {large: {kind: jobs, namespace: board, flavor: a100-large, image: steward}}\n"


def token(attempt: str = ATTEMPT, *, seconds: float = 60, secret: str = SECRET) -> str:
    """A token that the bot issued for `attempt`."""
    grant = AttemptGrant(attempt=attempt, path=PATH, expires=time.time() + seconds, seconds=3600)
    return AttemptTokens(BOARD, [secret]).issue(grant)


@pytest.fixture(scope="module")
def attempt_settings(lasting_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> BotSettings:
    """The settings of one web server for all tests of a file, whose board has a backend."""
    board = tmp_path_factory.mktemp("attempts") / "board.yaml"
    board.write_text(f"{BOARD_FILE}\n{BACKENDS}")
    secrets: dict[str, Any] = {"webhook_secret": SECRET, "old_webhook_secret": OLD_SECRET}
    return BotSettings(redis_url=lasting_valkey.url, board=board, max_delivery_bytes=800_000, port=0, **secrets)


@pytest.fixture(scope="module")
def attempt_web(settings: BotSettings) -> Iterator[httpx2.Client]:
    """A client of the web server with these settings."""
    with client_of(settings) as client:
        yield client


@pytest.fixture
def emptied_redis(lasting_redis: redis.Redis) -> redis.Redis:
    """A client of the Redis of `lasting_valkey`, emptied."""
    lasting_redis.flushall()
    return lasting_redis


def outcome(attempt: str = ATTEMPT) -> Outcome:
    """An outcome of an attempt."""
    return Outcome(
        attempt=attempt, path=PATH, revision=REVISION, suite="starter", suite_digest="d" * 64, started=1, ended=2,
        phase="evaluate",
    )  # fmt: skip
