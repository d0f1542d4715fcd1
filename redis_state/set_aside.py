"""Workers that the bot set aside: their results did not follow from their samples, or other workers found that their
answers are not the model's.

    bot        put(…)        the worker takes no further job, and a claim of it is refused
    worker     includes(…)   before each job; workers may read this key, and not write it

A worker has a new name at each start: a worker that an operator repairs and restarts takes jobs again. If answers were
not the model's, all workers of the Hub account are set aside, under the name that `account_name` returns. On a board
whose Redis users are older than this key, workers may not read it: then only their claims are refused. Redis may lose
all of this: a worker whose results are refused again is set aside again.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.exceptions import NoPermissionError

from redis_state.heartbeats import WorkerCard
from redis_state.keys import Keys
from redis_state.redis import Redis, text

RETENTION = 7 * 86_400
"""Seconds for which the list is kept after its last change."""


def account_name(account: str) -> str:
    """Return the name under which all workers of a Hub account are set aside; no worker's name contains a space."""
    return f"account {account.casefold()}"


class SetAsideWorker(BaseModel):
    """A worker that takes no job, and the attempt whose results were refused."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker: str = Field(max_length=200)
    account: str = Field(default="", max_length=100, description="if all workers of this Hub account are set aside")
    attempt: str = Field(max_length=64)
    path: str = Field(max_length=1_000, description="of the request file")
    reason: str = Field(max_length=2_000)
    at: float = Field(ge=0, allow_inf_nan=False)


def names_of(card: WorkerCard) -> set[str]:
    """The names under which a worker may be set aside: its own, and that of its account."""
    return {card.name, account_name(card.account)} if card.account else {card.name}


class SetAsideWorkers:
    """The workers of one board that are set aside."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self.redis = redis
        self._key = keys.set_aside

    def put(self, worker: SetAsideWorker) -> bool:
        """Set a worker aside; False if it is set aside already: the first reason stays."""
        with self.redis.pipeline() as pipe:
            pipe.hsetnx(self._key, worker.worker, worker.model_dump_json())
            pipe.expire(self._key, RETENTION)
            return bool(pipe.execute()[0])

    def includes(self, worker: str, account: str = "") -> bool:
        """Whether `worker` is set aside, or all workers of its `account`. One round trip for each."""
        names = (worker, account_name(account)) if account else (worker,)
        try:
            return any(self.redis.hexists(self._key, name) for name in names)
        except NoPermissionError:
            return False

    def all(self) -> list[SetAsideWorker]:
        """The workers that are set aside, by name. One round trip."""
        fields = {text(name): value for name, value in self.redis.hgetall(self._key).items()}
        workers = (_parse(value) for _, value in sorted(fields.items()))
        return [worker for worker in workers if worker is not None]


def _parse(raw: bytes | str) -> SetAsideWorker | None:
    try:
        return SetAsideWorker.model_validate_json(raw)
    except ValidationError:
        return None  # written by another version
