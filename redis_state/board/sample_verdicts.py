"""What was compared of results that are not published yet, so that no sync of their request does it again.

Redis may lose it: then it is compared again.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.sample_checks import CheckedSamples
from redis_state.keys import Keys
from redis_state.redis import Redis

RETENTION = 2 * 86_400
_Model = TypeVar("_Model", bound=BaseModel)


class RecomputedMetrics(BaseModel):
    """What became of computing the metrics of an attempt's samples again.

    `samples` were computed. `differs` says what differs, `not_done` why nothing was computed; both are "" if all agree,
    but for what `notes` name.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    samples: int = Field(default=0, ge=0)
    differs: str = Field(default="", max_length=2_000)
    not_done: str = Field(default="", max_length=500)
    notes: tuple[str, ...] = Field(default=(), max_length=200)


class SampleVerdicts:
    """The verdicts of one board, by attempt."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def compared(self, attempt: str) -> CheckedSamples | None:
        """What was compared of the results with their samples; None if they were not compared yet."""
        return self._read(attempt, "compared", CheckedSamples)

    def note_compared(self, attempt: str, checked: CheckedSamples) -> None:
        """Store what was compared."""
        self._write(attempt, "compared", checked.model_dump_json())

    def recomputed(self, attempt: str) -> RecomputedMetrics | None:
        """What became of computing the metrics again; None while that is not done."""
        return self._read(attempt, "recomputed", RecomputedMetrics)

    def note_recomputed(self, attempt: str, verdict: RecomputedMetrics) -> None:
        """Store what became of it."""
        self._write(attempt, "recomputed", verdict.model_dump_json())

    def began(self, attempt: str, *, now: float) -> float:
        """When a bot first began to compute the metrics again, which is `now` for the first one."""
        key = self._keys.sample_verdict(attempt)
        with self._redis.pipeline() as pipe:
            pipe.hsetnx(key, "began", repr(now))
            pipe.expire(key, RETENTION)
            pipe.hget(key, "began")
            return float(pipe.execute()[2])

    def _read(self, attempt: str, name: str, model: type[_Model]) -> _Model | None:
        raw = self._redis.hget(self._keys.sample_verdict(attempt), name)
        try:
            return model.model_validate_json(raw) if raw is not None else None
        except ValidationError:
            return None  # written by another version

    def _write(self, attempt: str, name: str, value: str) -> None:
        key = self._keys.sample_verdict(attempt)
        with self._redis.pipeline() as pipe:
            pipe.hset(key, name, value)
            pipe.expire(key, RETENTION)
            pipe.execute()
