"""The decisions of people, newest first: who had what done by a command, whether they might, and what was answered.

The files in the logs repo are the record. This is its newest part in Redis, for a page and the API, and comes back from
those files (`bot.threads.decision_log`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from redis_state.keys import Keys
from redis_state.redis import Redis, text

MAX_DECISIONS = 5_000
LONGEST = 2_000
"""Characters of an answer that are kept here; its thread, and its own file, have all of it."""


class DecisionAuthor(BaseModel):
    """Who gave the command: the id that the Hub reported, and the name of that account then."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(max_length=100)
    name: str = Field(max_length=100)


class DecisionThread(BaseModel):
    """The thread in which it was given; `repo` as `dataset/owner/name`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    repo: str = Field(max_length=300)
    number: int


class CommandDecision(BaseModel):
    """One command that decided something, or tried to."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: str = Field(max_length=40, description="when the comment was written, by the Hub: ISO, in UTC")
    person: DecisionAuthor
    roles: list[str] = Field(default_factory=list, max_length=10)
    command: str = Field(max_length=2_000)
    verb: str = Field(max_length=40)
    arguments: dict[str, str] = Field(default_factory=dict, max_length=20)
    model: str = Field(default="", max_length=300)
    requests: list[str] = Field(default_factory=list, max_length=1_000)
    allowed: bool
    answer: str = Field(default="", max_length=100_000)
    thread: DecisionThread | None = Field(default=None, description="None: at a shell, on a page or by a program")
    comment: str = Field(max_length=100)
    number: int = Field(default=0, description="which command of its comment it is, or which part of it, from 0")

    @property
    def id(self) -> str:
        """Its name in the record."""
        return f"{self.comment}-{self.number}"

    @property
    def seconds(self) -> float:
        """`at`, in seconds since the epoch; 0 where it says nothing."""
        try:
            return datetime.fromisoformat(self.at).timestamp()
        except ValueError:
            return 0.0


class Decisions:
    """The newest decisions on one board, KEPT at most."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def put(self, *decisions: CommandDecision) -> None:
        """Remember them, each once, as it is told last. Two round trips."""
        if not decisions:
            return
        order, bodies = self._keys.decision_order, self._keys.decisions
        decisions = tuple(one.model_copy(update={"answer": one.answer[:LONGEST]}) for one in decisions)
        with self._redis.pipeline() as pipe:
            pipe.zadd(order, {one.id: one.seconds for one in decisions})
            pipe.hset(bodies, mapping={one.id: one.model_dump_json() for one in decisions})
            pipe.zrange(order, 0, -MAX_DECISIONS - 1)
            old = [text(name) for name in pipe.execute()[2]]
        if old:
            with self._redis.pipeline() as pipe:
                pipe.zrem(order, *old)
                pipe.hdel(bodies, *old)
                pipe.execute()

    def newest(self, *, limit: int, after: tuple[float, str] | None = None) -> list[CommandDecision]:
        """Those that follow `after` (time and id), newest first."""
        start = 0
        if after is not None:
            rank: Any = self._redis.zrevrank(self._keys.decision_order, after[1])
            older = int(self._redis.zcount(self._keys.decision_order, f"({after[0]!r}", "+inf"))
            start = int(rank) + 1 if rank is not None else older
        return self._read(self._redis.zrange(self._keys.decision_order, start, start + limit - 1, desc=True))

    def between(self, start: float, end: float) -> list[CommandDecision]:
        """Those of a time (seconds since the epoch), oldest first."""
        return self._read(self._redis.zrangebyscore(self._keys.decision_order, start, f"({end!r}"))

    def known(self, ids: Iterable[str]) -> set[str]:
        """Which of `ids` are there."""
        wanted = list(ids)
        scores: Any = self._redis.zmscore(self._keys.decision_order, wanted) if wanted else []
        return {name for name, score in zip(wanted, scores, strict=True) if score is not None}

    def _read(self, names: Any) -> list[CommandDecision]:
        found = self._redis.hmget(self._keys.decisions, [text(name) for name in names]) if names else []
        return [one for raw in found if raw is not None and (one := parse(raw)) is not None]


def parse(raw: bytes | str) -> CommandDecision | None:
    """The decision in `raw`; None where it is none."""
    try:
        return CommandDecision.model_validate_json(raw)
    except ValidationError:
        return None
