"""How attempts of a suite ended lately, and its canary: asked for by the bot, run by a worker, judged by the bot.

    bot      note(…)                 how an attempt ended
             ask(cause)              most die of it: a model that is known to work is to run first
    worker   take()                  one worker at a time, for RUN seconds; `release` where it comes to no verdict
             report(verdict)         and the bot is woken
    bot      verdict(), settle()     acted upon

All of it may be lost with Redis: the next deaths bring the suspicion back. Only the sync of an outbreak, of which there
is one at a time, asks and settles.
Race accepted: a worker is killed in a canary. The next one may take it when RUN seconds are over.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.outbreaks import WINDOW_SECONDS, EndedAttempt
from redis_state.keys import Keys
from redis_state.redis import Redis, text

RUN = 900
RETENTION = 7 * 86_400
MAX_ENDED = 10_000


class CanaryVerdict(BaseModel):
    """What became of the canary that was asked for because of `cause`; `died_of` is empty where it lives."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cause: str = Field(max_length=64, pattern=r"^[a-z0-9-]+$")
    died_of: str = Field(default="", max_length=500)
    worker: str = Field(default="", max_length=200)


class Canaries:
    """The canary of one suite of a board."""

    def __init__(self, redis: Redis, keys: Keys, suite: str) -> None:
        self.redis = redis
        self.suite = suite
        self._ended = keys.ended(suite)
        self._canary = keys.canary(suite)
        self._taken = keys.canary_taken(suite)

    @property
    def key(self) -> str:
        """The dirty key of what is decided here."""
        return f"outbreak:{self.suite}"

    # --- the bot

    def note(self, ended: EndedAttempt) -> bool:
        """An attempt ended; noted twice it counts once. Whether it is new."""
        with self.redis.pipeline() as pipe:
            pipe.zadd(self._ended, {json.dumps({**asdict(ended), "at": None}): ended.at}, nx=True)
            pipe.zremrangebyscore(self._ended, "-inf", ended.at - 2 * WINDOW_SECONDS)
            pipe.zremrangebyrank(self._ended, 0, -MAX_ENDED - 1)
            pipe.expire(self._ended, RETENTION)
            return bool(pipe.execute()[0])

    def ended(self) -> list[EndedAttempt]:
        """How attempts ended lately."""
        found: list[tuple[bytes | str, float]] = self.redis.zrange(self._ended, 0, -1, withscores=True)  # type: ignore[assignment]  # with scores
        return [EndedAttempt(**{**json.loads(text(member)), "at": at}) for member, at in found]

    def cleared(self) -> dict[str, float]:
        """Cause → when it was settled last."""
        found = self.redis.hgetall(self._canary)
        cleared: dict[str, float] = {}
        for name, at in found.items():
            with suppress(ValueError):  # workers write into this hash too
                if text(name).startswith("cleared:"):
                    cleared[text(name).removeprefix("cleared:")] = float(at)
        return cleared

    def ask(self, cause: str) -> bool:
        """Have the next worker run the canary; False where it is asked for already because of `cause`.

        What it was asked for before is replaced: most die of this by now, and it may be what keeps any canary from
        being run. One that runs already reports about the other cause, and this one is asked for still.
        """
        known = self.redis.hget(self._canary, "asked")
        if text(known or b"") == cause:
            return False
        with self.redis.pipeline() as pipe:
            pipe.hset(self._canary, "asked", cause)
            pipe.expire(self._canary, RETENTION)
            pipe.execute()
        return True

    def verdict(self) -> CanaryVerdict | None:
        """What a worker reported; None where nothing was, or nothing that can be read."""
        raw = self.redis.hget(self._canary, "verdict")
        try:
            return CanaryVerdict.model_validate_json(raw) if raw is not None else None
        except ValidationError:
            return None

    def settle(self, cause: str, *, now: float) -> None:
        """The verdict was acted upon: deaths of `cause` count from now on."""
        asked = self.redis.hget(self._canary, "asked")
        over = ["verdict"] if asked is not None and text(asked) != cause else ["asked", "verdict"]
        with self.redis.pipeline() as pipe:
            pipe.hset(self._canary, f"cleared:{cause}", repr(now))
            pipe.hdel(self._canary, *over)
            pipe.execute()

    # --- a worker

    def take(self, worker: str) -> str | None:
        """The cause because of which `worker` is to run the canary now; None where there is nothing to do."""
        asked, verdict = self.redis.hmget(self._canary, ["asked", "verdict"])
        if asked is None or verdict is not None:
            return None
        return text(asked) if self.redis.set(self._taken, worker, nx=True, ex=RUN) else None

    def release(self) -> None:
        """It came to no verdict: let another worker try."""
        self.redis.delete(self._taken)

    def report(self, verdict: CanaryVerdict) -> None:
        """Tell what became of it."""
        with self.redis.pipeline() as pipe:
            pipe.hset(self._canary, "verdict", verdict.model_dump_json())
            pipe.delete(self._taken)
            pipe.execute()
