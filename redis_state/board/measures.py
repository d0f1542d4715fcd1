"""Measurements of evaluations: durations for estimates, GPU-seconds for budgets, and the last claim per submitter.

Most can be read again: durations from the results files (`bot.queue.durations`), a request's GPU-seconds from its file
(`steward.gpu_seconds`). The sums of a day by tier and submitter, and the last claims, start over if Redis is lost.

Race closed: two syncs count the end of one attempt, or one sync counts it again after the Hub was away for days. An
attempt counts once, by its id, as in `redis_state.board.timings`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from leaderboard.budgets import DAY, Spent
from leaderboard.estimates import Durations, WaitExperience, level
from redis_state.board.timings import COUNTED_SECONDS
from redis_state.keys import Keys
from redis_state.redis import Redis, text

MAX_DURATIONS = 60
"""Measurements per suite and size; older ones are dropped."""

ADD = """
if redis.call('ZADD', KEYS[3], 'NX', ARGV[5], 'spent ' .. ARGV[1]) == 0 then return 0 end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ARGV[6])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('HINCRBYFLOAT', KEYS[2], ARGV[3], ARGV[4])
return 1
"""
LEARN = f"""
local known = cjson.decode(redis.call('HGET', KEYS[1], ARGV[1]) or '[]')
table.insert(known, tonumber(ARGV[2]))
while #known > {MAX_DURATIONS} do table.remove(known, 1) end
redis.call('HSET', KEYS[1], ARGV[1], cjson.encode(known))
"""


@dataclass(frozen=True)
class Cost:
    """The GPU-seconds of an attempt, when it ended, and its tier and submitter."""

    attempt: str
    path: str
    tier: str
    submitter: str
    seconds: float
    ended: float


class Measures:
    """The measurements of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._add = redis.register_script(ADD)
        self._learn = redis.register_script(LEARN)

    # --- durations

    def learn(self, suite: str, size: int, seconds: float) -> None:
        """Record that an evaluation of this size class took `seconds`."""
        self._learn(keys=[self._keys.durations], args=[f"{suite} {size}", round(seconds, 1)])

    def durations(self) -> Durations:
        """The recorded durations, by suite and size class."""
        durations: dict[tuple[str, int], list[float]] = {}
        for name, raw in self._redis.hgetall(self._keys.durations).items():
            suite, _, size = text(name).rpartition(" ")
            durations[suite, int(size)] = json.loads(raw)
        return Durations(durations)

    def waited(self, round_number: int, share: float) -> None:
        """Record that a request of this round started after that share of its expected wait."""
        self._learn(keys=[self._keys.experience], args=[level(round_number), round(share, 3)])

    def experience(self) -> WaitExperience:
        """The recorded waits, as shares of the expected wait."""
        shares = self._redis.hgetall(self._keys.experience)
        return WaitExperience({int(name): json.loads(raw) for name, raw in shares.items()})

    # --- GPU-seconds

    def spend(self, cost: Cost) -> bool:
        """Count an attempt that ended; False if it was counted already."""
        line = json.dumps([cost.tier, cost.submitter, cost.seconds, cost.ended])
        keys = [self._keys.spent, self._keys.spent_requests, self._keys.timed]
        return bool(
            self._add(
                keys=keys, args=[cost.attempt, line, cost.path, cost.seconds, cost.ended, cost.ended - COUNTED_SECONDS]
            )
        )

    def spent(self, *, now: float) -> Spent:
        """The GPU-seconds of ended attempts: of the last day by tier and submitter, of all time by request."""
        totals, old = Spent(), []
        for attempt, raw in self._redis.hgetall(self._keys.spent).items():
            tier, submitter, seconds, ended = json.loads(raw)
            if ended <= now - DAY:
                old.append(attempt)
                continue
            totals.tiers[tier] = totals.tiers.get(tier, 0.0) + seconds
            totals.submitters[submitter] = totals.submitters.get(submitter, 0.0) + seconds
        if old:
            self._redis.hdel(self._keys.spent, *old)
        totals.requests = {
            text(path): float(seconds) for path, seconds in self._redis.hgetall(self._keys.spent_requests).items()
        }
        return totals

    def spent_by(self, path: str) -> float:
        """Return the GPU-seconds of all ended attempts of one request."""
        return float(self._redis.hget(self._keys.spent_requests, path) or 0.0)

    def recall(self, path: str, seconds: float) -> None:
        """Replace the recorded sum of a request by the sum in its file, `seconds`, if that is larger."""
        if seconds > self.spent_by(path):
            self._redis.hset(self._keys.spent_requests, path, seconds)

    def close(self, path: str) -> None:
        """Remove the sum of a request that ended. Call it once the request's file has the sum."""
        self._redis.hdel(self._keys.spent_requests, path)

    # --- last claims

    def note_claim(self, submitter: str, *, at: float) -> None:
        """Record that an attempt of `submitter` was claimed."""
        self._redis.hset(self._keys.turns, submitter, at)

    def last_claims(self) -> Mapping[str, float]:
        """Submitter → when their last attempt was claimed."""
        return {text(name): float(at) for name, at in self._redis.hgetall(self._keys.turns).items()}
