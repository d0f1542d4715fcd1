"""An attempt of a board with a backend: its token, its outcome, and the settings of the board's web server."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bot.core.attempt_tokens import AttemptGrant, AttemptTokens
from bot.core.settings import BotSettings
from leaderboard.attempts import Outcome, attempt_id
from redis_state.keys import Keys
from tests.support.board.board_file import BOARD as BOARD_FILE
from tests.support.board.board_file import OLD_SECRET, SECRET

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


def attempt_settings(redis_url: str, folder: Path) -> BotSettings:
    """The settings of a web server whose board, with a backend, is in this folder."""
    board = folder / "board.yaml"
    board.write_text(f"{BOARD_FILE}\n{BACKENDS}")
    secrets: dict[str, Any] = {"webhook_secret": SECRET, "old_webhook_secret": OLD_SECRET}
    return BotSettings(redis_url=redis_url, board=board, max_delivery_bytes=800_000, port=0, **secrets)


def outcome(attempt: str = ATTEMPT) -> Outcome:
    """An outcome of an attempt."""
    return Outcome(
        attempt=attempt, path=PATH, revision=REVISION, suite="starter", suite_digest="d" * 64, started=1, ended=2,
        phase="evaluate",
    )  # fmt: skip
