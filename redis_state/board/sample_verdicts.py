"""Results of comparisons with samples, so that no sync of a request repeats one before the publication.

A verdict is about one commit: the outcome of an attempt, which workers write, may name another one meanwhile. If Redis
loses a verdict, the bot compares again.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.attempts import Details
from leaderboard.sample_checks import CheckedSamples
from redis_state.keys import Keys
from redis_state.redis import Redis

RETENTION = 2 * 86_400
_Model = TypeVar("_Model", bound=BaseModel)


class RecomputedMetrics(BaseModel):
    """The result of computing the metrics of an attempt's samples again.

    `samples` is the number of samples. `differs` says what differs, `not_done` why nothing was computed; both are "" if
    all metrics agree, except for those that `notes` name.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    samples: int = Field(default=0, ge=0)
    differs: str = Field(default="", max_length=2_000)
    not_done: str = Field(default="", max_length=500)
    notes: tuple[str, ...] = Field(default=(), max_length=200)


def published_as(attempt: str, details: Details) -> str:
    """Return the id of the results that a worker published for an attempt; their verdicts are stored under it."""
    return f"{attempt}:{details.commit}:{hashlib.sha256(details.results_path.encode()).hexdigest()[:16]}"


class SampleVerdicts:
    """The verdicts of one board; `published` is an id from `published_as`."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def compared(self, published: str) -> CheckedSamples | None:
        """The record of the comparison with the samples; None before the bot has compared them."""
        return self._read(published, "compared", CheckedSamples)

    def note_compared(self, published: str, checked: CheckedSamples) -> None:
        """Store the record of the comparison."""
        self._write(published, "compared", checked.model_dump_json())

    def recomputed(self, published: str) -> RecomputedMetrics | None:
        """The result of computing the metrics again; None before that is done."""
        return self._read(published, "recomputed", RecomputedMetrics)

    def note_recomputed(self, published: str, verdict: RecomputedMetrics) -> None:
        """Store the result of computing the metrics again."""
        self._write(published, "recomputed", verdict.model_dump_json())

    def began(self, published: str) -> float | None:
        """The time at which a bot first began to compute the metrics again; None if none has yet."""
        raw = self._redis.hget(self._keys.sample_verdict(published), "began")
        return float(raw) if raw is not None else None

    def note_began(self, published: str, *, now: float) -> int:
        """Count a start of computing the metrics again; return the number of starts without an end, with this one.

        The time of the first start is stored.
        """
        key = self._keys.sample_verdict(published)
        with self._redis.pipeline() as pipe:
            pipe.hincrby(key, "starts", 1)
            pipe.hsetnx(key, "began", repr(now))
            pipe.expire(key, RETENTION)
            return int(pipe.execute()[0])

    def note_postponed(self, published: str) -> None:
        """Take back the count of a start: the computation ended in order, without a verdict, and starts again later."""
        key = self._keys.sample_verdict(published)
        with self._redis.pipeline() as pipe:
            pipe.hincrby(key, "starts", -1)
            pipe.expire(key, RETENTION)
            pipe.execute()

    def _read(self, published: str, name: str, model: type[_Model]) -> _Model | None:
        raw = self._redis.hget(self._keys.sample_verdict(published), name)
        try:
            return model.model_validate_json(raw) if raw is not None else None
        except ValidationError:
            return None  # written by another version

    def _write(self, published: str, name: str, value: str) -> None:
        key = self._keys.sample_verdict(published)
        with self._redis.pipeline() as pipe:
            pipe.hset(key, name, value)
            pipe.expire(key, RETENTION)
            pipe.execute()
