"""Commands that decided something, newest first: the person, the command, whether it was allowed, and the answer.

The files in the logs repo are the record. Redis holds its newest part for a page and the API, and can be refilled from
those files (`bot.threads.decision_log`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.times import read_time
from redis_state.keys import Keys
from redis_state.redis import Redis, text

MAX_DECISIONS = 5_000
MAX_ANSWER_LENGTH = 2_000
"""Characters of an answer that Redis holds; the thread and the file in the logs repo have all of it."""


DecisionOutcome = Literal["done", "proposed", "refused", "failed", "unchanged"]
"""The result of a command, in this order: it had its effect; its plan waits for approval; a rule of the board refused
it; it failed; the board was already as the command asks."""


class DecisionAuthor(BaseModel):
    """The author of a command: the id that the Hub reported, and the account's name at that time."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(max_length=100)
    name: str = Field(max_length=100)


class DecisionThread(BaseModel):
    """The thread of a command; `repo` is `dataset/owner/name`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    repo: str = Field(max_length=300)
    number: int


class CommandDecision(BaseModel):
    """One command that decided something, or was refused."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: str = Field(max_length=40, description="the time of the comment, as the Hub reports it: ISO, in UTC")
    person: DecisionAuthor
    roles: list[str] = Field(default_factory=list, max_length=10)
    command: str = Field(max_length=2_000)
    verb: str = Field(max_length=40)
    arguments: dict[str, str] = Field(default_factory=dict, max_length=20)
    model: str = Field(default="", max_length=300)
    requests: list[str] = Field(default_factory=list, max_length=1_000)
    allowed: bool
    outcome: str = Field(default="", max_length=20, description="a `DecisionOutcome`; '' where it was not recorded")
    answer: str = Field(default="", max_length=100_000)
    thread: DecisionThread | None = Field(default=None, description="the thread; null for a shell, a page or a program")
    comment: str = Field(max_length=100)
    number: int = Field(
        default=0, description="index of the command in its comment, or of the part of the command, from 0"
    )

    @property
    def id(self) -> str:
        """The decision's id in the record."""
        return f"{self.comment}-{self.number}"

    @property
    def seconds(self) -> float:
        """`at` in seconds since the epoch; 0 if it is no time."""
        return read_time(self.at) or 0.0

    def shortened(self) -> CommandDecision:
        """The same with at most MAX_ANSWER_LENGTH characters of its answer."""
        return self.model_copy(update={"answer": self.answer[:MAX_ANSWER_LENGTH]})


class Decisions:
    """The newest decisions on one board, at most MAX_DECISIONS."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def put(self, *decisions: CommandDecision) -> None:
        """Store decisions; a decision replaces an earlier version of itself. Two round trips."""
        if not decisions:
            return
        order, bodies = self._keys.decision_order, self._keys.decisions
        with self._redis.pipeline() as pipe:
            pipe.zadd(order, {decision.id: decision.seconds for decision in decisions})
            pipe.hset(bodies, mapping={each.id: each.shortened().model_dump_json() for each in decisions})
            pipe.zrange(order, 0, -MAX_DECISIONS - 1)
            old = [text(name) for name in pipe.execute()[2]]
        if old:
            with self._redis.pipeline() as pipe:
                pipe.zrem(order, *old)
                pipe.hdel(bodies, *old)
                pipe.execute()

    def newest(self, *, limit: int, after: tuple[float, str] | None = None) -> list[CommandDecision]:
        """Decisions older than `after` (time and id), newest first."""
        start = 0
        if after is not None:
            rank: Any = self._redis.zrevrank(self._keys.decision_order, after[1])
            older = int(self._redis.zcount(self._keys.decision_order, f"({after[0]!r}", "+inf"))
            start = int(rank) + 1 if rank is not None else older
        return self._read(self._redis.zrange(self._keys.decision_order, start, start + limit - 1, desc=True))

    def between(self, start: float, end: float) -> list[CommandDecision]:
        """Decisions from `start` to before `end` (seconds since the epoch), oldest first."""
        return self._read(self._redis.zrangebyscore(self._keys.decision_order, start, f"({end!r}"))

    def known(self, ids: Iterable[str]) -> set[str]:
        """Those of `ids` that are stored."""
        wanted = list(ids)
        scores: Any = self._redis.zmscore(self._keys.decision_order, wanted) if wanted else []
        return {name for name, score in zip(wanted, scores, strict=True) if score is not None}

    def _read(self, names: Any) -> list[CommandDecision]:
        values = self._redis.hmget(self._keys.decisions, [text(name) for name in names]) if names else []
        return [decision for raw in values if raw is not None and (decision := parse(raw)) is not None]


def parse(raw: bytes | str) -> CommandDecision | None:
    """Parse a stored decision; None if it is malformed."""
    try:
        return CommandDecision.model_validate_json(raw)
    except ValidationError:
        return None
