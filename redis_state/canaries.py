"""The recent ends of a suite's attempts, and its canary: the bot asks for it, a worker runs it, the bot judges.

    bot      note(…)                 record how an attempt ended
             ask(cause)              one cause fails most attempts: a known-good model must run first
    worker   take()                  claim the canary for RUN_SECONDS; `release` it if there is no verdict
             report(…)               then wake the bot
    bot      verdict(), settle()     act on the verdict, and clear it

Redis may lose all of this: the next failures raise the suspicion again. Only the sync of an outbreak asks and settles,
and only one of them runs at a time.
A worker whose claim has expired cannot end a canary that another worker runs or has reported about.
Race accepted: a worker is killed while it runs a canary. Another one may take it after RUN_SECONDS.
Race accepted: a claim expires between the check of its owner and its removal, and another worker takes the canary
between these two calls. A third one may run it, too. (A script could not be run by the workers' users of Redis.)
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leaderboard.outbreaks import WINDOW_SECONDS, EndedAttempt
from redis_state.keys import Keys
from redis_state.redis import Redis, text

RUN_SECONDS = 900
RETENTION = 7 * 86_400
MAX_ENDED = 10_000

REMOVE_VERDICT = """
if redis.call('HGET', KEYS[1], 'verdict') ~= ARGV[1] then return 0 end
return redis.call('HDEL', KEYS[1], 'verdict')
"""


class CanaryVerdict(BaseModel):
    """The result of the canary that the bot asked for because of `cause`; `died_of` is empty if it passed."""

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
        self._remove_verdict = redis.register_script(REMOVE_VERDICT)

    @property
    def key(self) -> str:
        """The dirty key of the sync that decides about the suite's outbreak."""
        return f"outbreak:{self.suite}"

    # --- the bot

    def note(self, ended: EndedAttempt) -> bool:
        """Record how an attempt ended, once. Return whether it is new."""
        with self.redis.pipeline() as pipe:
            pipe.zadd(self._ended, {json.dumps({**asdict(ended), "at": None}): ended.at}, nx=True)
            pipe.zremrangebyscore(self._ended, "-inf", ended.at - 2 * WINDOW_SECONDS)
            pipe.zremrangebyrank(self._ended, 0, -MAX_ENDED - 1)
            pipe.expire(self._ended, RETENTION)
            return bool(pipe.execute()[0])

    def ended(self) -> list[EndedAttempt]:
        """Return the recent ends of attempts."""
        members: list[tuple[bytes | str, float]] = self.redis.zrange(self._ended, 0, -1, withscores=True)  # type: ignore[assignment]  # with scores
        return [EndedAttempt(**{**json.loads(text(member)), "at": at}) for member, at in members]

    def cleared(self) -> dict[str, float]:
        """Cause → when it was settled last."""
        fields = self.redis.hgetall(self._canary)
        cleared: dict[str, float] = {}
        for name, at in fields.items():
            with suppress(ValueError):  # untrusted: workers write to this hash too
                if text(name).startswith("cleared:"):
                    cleared[text(name).removeprefix("cleared:")] = float(at)
        return cleared

    def ask(self, cause: str) -> bool:
        """Ask the next worker to run the canary; False if it is already asked for because of `cause`.

        Replaces an earlier cause: `cause` now fails most attempts, and may be what keeps every canary from running. A
        canary that already runs reports about the earlier cause, and this one stays asked for.
        """
        asked = self.redis.hget(self._canary, "asked")
        if text(asked or b"") == cause:
            return False
        with self.redis.pipeline() as pipe:
            pipe.hset(self._canary, "asked", cause)
            pipe.expire(self._canary, RETENTION)
            pipe.execute()
        return True

    def verdict(self) -> CanaryVerdict | None:
        """The verdict that a worker reported; None if there is none. A malformed one is removed, so that another worker
        runs the canary, unless a worker replaced it meanwhile."""
        raw = self.redis.hget(self._canary, "verdict")
        try:
            return CanaryVerdict.model_validate_json(raw) if raw is not None else None
        except ValidationError:
            self._remove_verdict(keys=[self._canary], args=[raw or b""])
            return None

    def settle(self, cause: str, *, now: float) -> None:
        """Clear a verdict on which the bot acted: only failures of `cause` after `now` count for the next outbreak."""
        asked = self.redis.hget(self._canary, "asked")
        done = ["verdict"] if asked is not None and text(asked) != cause else ["asked", "verdict"]
        with self.redis.pipeline() as pipe:
            pipe.hset(self._canary, f"cleared:{cause}", repr(now))
            pipe.hdel(self._canary, *done)
            pipe.execute()

    # --- a worker

    def take(self, worker: str) -> str | None:
        """Claim the canary for `worker` and return its cause; None if no canary is due."""
        cause = self._due()
        return cause if cause is not None and self._claim(worker) is None else None

    def release(self, worker: str) -> None:
        """Give the canary back without a verdict, so that another worker runs it, unless one has taken it already."""
        if self._claim(worker) in (None, worker):
            self.redis.delete(self._taken)

    def report(self, worker: str, verdict: CanaryVerdict) -> bool:
        """Report the verdict of `worker`, and give the canary back. Return whether the verdict counts.

        It does not if the claim has expired and another worker took the canary, or has reported about it meanwhile.
        """
        owner = self._claim(worker)
        counts = owner == worker or (owner is None and self._due() == verdict.cause)
        with self.redis.pipeline() as pipe:
            if counts:
                pipe.hset(self._canary, "verdict", verdict.model_dump_json())
            if owner in (None, worker):
                pipe.delete(self._taken)
            pipe.execute()
        return counts

    def _due(self) -> str | None:
        """Return the cause for which a canary run is asked; None if none is, or a verdict waits for the bot."""
        asked, verdict = self.redis.hmget(self._canary, ["asked", "verdict"])
        return text(asked) if asked is not None and verdict is None else None

    def _claim(self, worker: str) -> str | None:
        """Claim the canary for `worker` if no worker has; return the worker that had it before, None for none.

        With NX and GET, a claim that exists is read and stays as it is. The workers' users may set the key, not get it.
        """
        owner = self.redis.set(self._taken, worker, nx=True, get=True, ex=RUN_SECONDS)
        return None if owner is None else text(owner)
