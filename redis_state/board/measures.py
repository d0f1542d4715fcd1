"""What evaluations took: durations for estimates, GPU-seconds for budgets, and whose turn was when.

Redis holds a copy of what can mostly be found again: durations lie in the results files (`bot.queue.durations`), a
request's own sum in its file (`steward.gpu_seconds`). A day's sums by tier and submitter, and who had the last turn,
begin anew where Redis was lost.

Race closed: one attempt that two syncs take for ended, or one sync again after the Hub was away for days. It counts
under its id, once, as in `redis_state.board.timings`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from leaderboard.budgets import DAY, Spent
from leaderboard.estimates import Durations, WaitExperience
from leaderboard.places import level
from redis_state.board.timings import ONCE
from redis_state.keys import Keys
from redis_state.redis import Redis, text

MAX_DURATIONS = 60
"""Measurements of each suite and size that are kept: the last ones."""

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
    """GPU-seconds that an attempt took, when it ended, and whose they are."""

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
        """An evaluation of this size class came to its end after `seconds`."""
        self._learn(keys=[self._keys.durations], args=[f"{suite} {size}", round(seconds, 1)])

    def durations(self) -> Durations:
        """What was measured."""
        found: dict[tuple[str, int], list[float]] = {}
        for name, raw in self._redis.hgetall(self._keys.durations).items():
            suite, _, size = text(name).rpartition(" ")
            found[suite, int(size)] = json.loads(raw)
        return Durations(found)

    def waited(self, turn: int, share: float) -> None:
        """A request that was in this round started after that share of the wait that was expected."""
        self._learn(keys=[self._keys.experience], args=[level(turn), round(share, 3)])

    def experience(self) -> WaitExperience:
        """How long people waited, against what was expected."""
        found = self._redis.hgetall(self._keys.experience)
        return WaitExperience({int(name): json.loads(raw) for name, raw in found.items()})

    # --- GPU-seconds

    def spend(self, cost: Cost) -> bool:
        """Count an attempt that has ended; False where it was counted already."""
        line = json.dumps([cost.tier, cost.submitter, cost.seconds, cost.ended])
        keys = [self._keys.spent, self._keys.spent_requests, self._keys.timed]
        return bool(
            self._add(keys=keys, args=[cost.attempt, line, cost.path, cost.seconds, cost.ended, cost.ended - ONCE])
        )

    def spent(self, *, now: float) -> Spent:
        """What counts of the attempts that ended: within a day by tier and submitter, ever by request."""
        found, old = Spent(), []
        for attempt, raw in self._redis.hgetall(self._keys.spent).items():
            tier, submitter, seconds, ended = json.loads(raw)
            if ended <= now - DAY:
                old.append(attempt)
                continue
            found.tiers[tier] = found.tiers.get(tier, 0.0) + seconds
            found.submitters[submitter] = found.submitters.get(submitter, 0.0) + seconds
        if old:
            self._redis.hdel(self._keys.spent, *old)
        found.requests = {
            text(path): float(seconds) for path, seconds in self._redis.hgetall(self._keys.spent_requests).items()
        }
        return found

    def spent_by(self, path: str) -> float:
        """GPU-seconds of all attempts of one request that ended."""
        return float(self._redis.hget(self._keys.spent_requests, path) or 0.0)

    def recall(self, path: str, seconds: float) -> None:
        """The file of the request says that its attempts took so much; what is known counts where it is more."""
        if seconds > self.spent_by(path):
            self._redis.hset(self._keys.spent_requests, path, seconds)

    def close(self, path: str) -> None:
        """The request came to its end; its file keeps the sum."""
        self._redis.hdel(self._keys.spent_requests, path)

    # --- turns

    def turn(self, submitter: str, *, at: float) -> None:
        """An attempt of `submitter` was claimed."""
        self._redis.hset(self._keys.turns, submitter, at)

    def turns(self) -> Mapping[str, float]:
        """Submitter → when the last attempt of theirs was claimed."""
        return {text(name): float(at) for name, at in self._redis.hgetall(self._keys.turns).items()}
