"""Sends a worker's outcomes to the bot through Redis; while Redis is away they stay in a folder on disk."""

from __future__ import annotations

import logging
from pathlib import Path

import redis
from pydantic import ValidationError

from leaderboard.attempts import Outcome, dirty_key
from redis_state.attempts import Attempts
from redis_state.clock import now
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import DirtyKeys, SyncPriority
from redis_state.errors import RedisStateError
from redis_state.keys import Keys
from redis_state.redis import connect
from workers.errors import WorkerError

log = logging.getLogger(__name__)

ENDED = point("bot told, request not marked")

CALL_TIMEOUT_SECONDS = 5.0
OUTCOME, LOG, WORKER = "outcome.json", "log.txt", "worker.txt"


class OutcomeUnsent(WorkerError):
    """The slot's folder holds an outcome that was not sent; the caller must not overwrite it."""


class BoardRedis:
    """A board's state in Redis for one process or thread, with short timeouts; connects on first use."""

    def __init__(self, url: str, board: str) -> None:
        self.url = url
        self.keys = Keys(board)
        self._attempts: Attempts | None = None

    def with_own_connection(self) -> BoardRedis:
        """The same board over another connection."""
        return BoardRedis(self.url, self.keys.board)

    def attempts(self) -> Attempts:
        """The board's attempts. Raises RedisError while Redis is away."""
        if self._attempts is None:
            try:
                self._attempts = Attempts(connect(self.url, socket_timeout=CALL_TIMEOUT_SECONDS), self.keys)
            except RedisStateError as error:
                raise redis.ConnectionError(str(error)) from error
        return self._attempts

    def mark(self, path: str) -> None:
        """Mark the request, or the trial, dirty with the priority of a person's request. Raises RedisError while Redis
        is away."""
        self.mark_key(dirty_key(path))

    def mark_key(self, key: str) -> None:
        """Mark any dirty key, as `mark` does a request."""
        DirtyKeys(self.attempts().redis, self.keys).mark(key, due=now(), priority=SyncPriority.PERSON)


def store_outcome(folder: Path, outcome: Outcome, text: str, *, worker: str) -> None:
    """Write the outcome and the log `text` of an attempt of `worker` to `folder`, before they are sent."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / LOG).write_text(text, "utf-8")
    (folder / WORKER).write_text(worker, "utf-8")
    draft = folder / f"{OUTCOME}.new"
    draft.write_text(outcome.model_dump_json(), "utf-8")
    draft.rename(folder / OUTCOME)


def has_unsent_outcome(folder: Path) -> bool:
    """Whether `folder` holds an outcome that was not sent to the bot."""
    return (folder / OUTCOME).exists()


def send_unsent_outcome(folder: Path, board_redis: BoardRedis) -> str | None:
    """Send the outcome in `folder`, if there is one, then remove it. Return the attempt's id.

    Raises RedisError while Redis is away; the outcome then stays.
    """
    try:
        outcome = Outcome.model_validate_json((folder / OUTCOME).read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValidationError:
        log.warning("%s holds an outcome that cannot be read; it is dropped", folder)
        (folder / OUTCOME).unlink()
        return None
    worker = (folder / WORKER).read_text("utf-8")
    send_outcome(board_redis, outcome, (folder / LOG).read_text("utf-8"), worker=worker)
    (folder / OUTCOME).unlink()
    return outcome.attempt


def send_outcome(board_redis: BoardRedis, outcome: Outcome, text: str, *, worker: str) -> None:
    """Send the outcome and the log `text` of an attempt of `worker`. Raises RedisError while Redis is away."""
    if not board_redis.attempts().end(outcome, text, worker=worker):
        log.warning("another worker runs attempt %s: the outcome of worker %s is dropped", outcome.attempt, worker)
    pass_by(ENDED)
    board_redis.mark(outcome.path)
