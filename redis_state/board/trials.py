"""The trials of a board: those that wait or run, how the last ones ended, and how many each person asked for.

Redis may lose all of this: the sync of the thread reads the command again, because its reply is not final, and asks
for the trial anew.
Only syncs write: that of the thread asks for a trial, and that of the trial itself changes and ends it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.attempts import Outcome, attempt_id
from leaderboard.dispatch import WaitingRequest
from leaderboard.tiers import Tier
from leaderboard.trials import WINDOW_SECONDS
from redis_state.jobs import EvaluationJob
from redis_state.keys import Keys
from redis_state.redis import Redis, text

END_SECONDS = 14 * 86_400
"""Seconds for which the end of a trial is stored, until the reply shows it."""


class Trial(BaseModel):
    """One trial that waits or runs. `tries` of its attempts failed for a cause that is not the model's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job: EvaluationJob
    thread: str = Field(description="dirty key of the thread in which it was asked for")
    submitter: str
    tier: Tier
    asked: float = Field(description="seconds since the epoch")
    number: int = 1
    tries: int = 0
    queued: float = Field(default=0.0, description="when its job was put into RQ")
    stopped: bool = Field(default=False, description="whether the bot stopped its attempt, because a request waits")

    @property
    def path(self) -> str:
        """Its name, which is also its dirty key."""
        return self.job.path

    @property
    def waiting(self) -> WaitingRequest:
        """The trial in the form in which dispatch orders requests."""
        return WaitingRequest(
            self.path, self.job.attempt, self.submitter, self.asked, tier=self.tier, suite=self.job.suite
        )

    def again(self, *, failed: bool) -> Trial:
        """The same trial with its next attempt."""
        number = self.number + 1
        attempt = attempt_id(self.job.board, self.path, self.job.revision, number)
        changes = {"job": self.job.model_copy(update={"attempt": attempt}), "number": number, "stopped": False}
        return self.model_copy(update={**changes, "tries": self.tries + failed, "queued": 0.0})


class TrialEnd(BaseModel):
    """How a trial ended: with the outcome of its last attempt, or without a worker."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    trial: Trial
    how: Literal["ended", "no-worker"] = "ended"
    outcome: Outcome | None = None


class Trials:
    """The trials of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def get(self, path: str) -> Trial | None:
        """The trial at `path` that waits or runs; None if there is none."""
        raw = self._redis.hget(self._keys.trials, path)
        return _trial(raw) if raw is not None else None

    def pending(self) -> list[Trial]:
        """All trials that wait or run. One round trip."""
        trials = map(_trial, self._redis.hvals(self._keys.trials))
        return [trial for trial in trials if trial is not None]

    def put(self, trial: Trial) -> None:
        """Store a trial that waits or runs."""
        self._redis.hset(self._keys.trials, trial.path, trial.model_dump_json())

    def finish(self, end: TrialEnd) -> None:
        """Store how a trial ended, and remove it from those that wait or run."""
        with self._redis.pipeline() as pipe:
            pipe.set(self._keys.trial_end(end.trial.path), end.model_dump_json(), ex=END_SECONDS)
            pipe.hdel(self._keys.trials, end.trial.path)
            pipe.execute()

    def end(self, path: str) -> TrialEnd | None:
        """How the trial at `path` ended; None if it has not."""
        raw = self._redis.get(self._keys.trial_end(path))
        try:
            return TrialEnd.model_validate_json(raw) if raw is not None else None
        except ValidationError:
            return None  # stored by another version: the trial runs again

    def count(self, person: str, path: str, *, now: float) -> int:
        """Count the trial at `path` once. Return how many others of `person` came before it within the window."""
        key = self._keys.person(f"trials {person}")
        with self._redis.pipeline() as pipe:
            pipe.zremrangebyscore(key, "-inf", now - WINDOW_SECONDS)
            pipe.zadd(key, {path: now}, nx=True)
            pipe.expire(key, int(WINDOW_SECONDS))
            pipe.zrank(key, path)
            answers: list[Any] = pipe.execute()
        return int(answers[-1])

    def uncount(self, person: str, path: str) -> None:
        """Remove a trial that was refused from the count of `person`."""
        self._redis.zrem(self._keys.person(f"trials {person}"), path)


def _trial(raw: bytes | str) -> Trial | None:
    try:
        return Trial.model_validate_json(text(raw))
    except ValidationError:
        return None  # stored by another version: its thread asks again
