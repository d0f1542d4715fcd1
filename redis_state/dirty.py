"""Dirty keys: each names an object that a sync has to bring in step with the Hub.

A key may be marked any number of times; one process at a time claims it. Each mark raises the key's generation, and a
claim records the generation that it saw. Finishing removes the key only if its generation is unchanged: a mark that
comes while the sync runs is never lost, and a burst of a thousand marks costs two syncs.

Races closed: a sync that dies keeps its lease until it expires, then any process may claim the key again; a sync that
outlives its lease cannot finish the key, which another sync may hold by then (the lease names its owner).
Race accepted: after an expired lease two syncs of one key may overlap. Effects are idempotent and commits
compare-and-swap, so the slower one loses its write and does no harm.

The score of a key is `priority * 1e12 + due`, both exact enough in a double: keys that a person waits for come first,
and within a priority the oldest. A mark never delays a key nor lowers its priority; a background mark advances no key
that an event or a person marked. Leases use the Redis server's clock, which all processes share.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from redis_state.keys import Keys
from redis_state.redis import Redis, text

_PRIORITY_SCALE = 1e12
_PAGE_SIZE = 1_000

MARK = """
local priority, due = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('HINCRBY', KEYS[2], ARGV[1], 1)
local present = redis.call('ZSCORE', KEYS[1], ARGV[1])
if present then
  present = tonumber(present)
  local waits = math.floor(present / 1e12)
  if priority == 2 and waits < 2 then return 1 end
  priority = math.min(priority, waits)
  due = math.min(due, present % 1e12)
end
local score = priority * 1e12 + due
if score ~= present then redis.call('ZADD', KEYS[1], score, ARGV[1]) end
if redis.call('LLEN', KEYS[3]) < 64 then redis.call('LPUSH', KEYS[3], '1') end
return 1
"""

CLAIM = """
local t = redis.call('TIME')
local now = tonumber(t[1]) + tonumber(t[2]) / 1e6
local due = tonumber(ARGV[2])
for priority = 0, 2 do
  local offset = 0
  while true do
    local keys = redis.call('ZRANGEBYSCORE', KEYS[1], priority * 1e12, priority * 1e12 + due, 'LIMIT', offset, 64)
    if #keys == 0 then break end
    for _, key in ipairs(keys) do
      local lease = redis.call('HGET', KEYS[3], key)
      local expiry = lease and tonumber(string.match(lease, ' ([%d%.]+)$')) or 0
      if expiry <= now then
        local generation = redis.call('HGET', KEYS[2], key) or '0'
        redis.call('HSET', KEYS[3], key, ARGV[1] .. ' ' .. string.format('%.6f', now + tonumber(ARGV[3])))
        return {key, generation, tostring(priority)}
      end
    end
    offset = offset + 64
  end
end
return false
"""

FINISH = """
local lease = redis.call('HGET', KEYS[3], ARGV[1])
if not lease or string.match(lease, '^(%S+)') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[3], ARGV[1])
local marked = (redis.call('HGET', KEYS[2], ARGV[1]) or '0') ~= ARGV[3]
if ARGV[4] ~= '' and not (marked and ARGV[5] == '0') then
  redis.call('ZADD', KEYS[1], tonumber(ARGV[4]), ARGV[1])
  return 2
end
if not marked then
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  return 1
end
if redis.call('LLEN', KEYS[4]) < 64 then redis.call('LPUSH', KEYS[4], '1') end
return 3
"""

RENEW = """
local lease = redis.call('HGET', KEYS[1], ARGV[1])
if not lease or string.match(lease, '^(%S+)') ~= ARGV[2] then return 0 end
local t = redis.call('TIME')
local expiry = tonumber(t[1]) + tonumber(t[2]) / 1e6 + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. string.format('%.6f', expiry))
return 1
"""

HASTEN = """
for n = 2, #ARGV do
  local score = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[n]) or 0)
  local due = math.floor(score / 1e12) * 1e12 + tonumber(ARGV[1])
  if score > due then redis.call('ZADD', KEYS[1], due, ARGV[n]) end
end
if redis.call('LLEN', KEYS[2]) < 64 then redis.call('LPUSH', KEYS[2], '1') end
"""


class SyncPriority(IntEnum):
    """Why a sync is due: a person waits, an event came, or background work."""

    PERSON = 0
    EVENT = 1
    BACKGROUND = 2


@dataclass(frozen=True)
class SyncLease:
    """The right to sync `key` until the lease expires."""

    key: str
    generation: int
    priority: SyncPriority
    owner: str


@dataclass
class DirtyKeys:
    """The dirty keys of one board."""

    redis: Redis
    keys: Keys
    owner: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        self._mark = self.redis.register_script(MARK)
        self._claim = self.redis.register_script(CLAIM)
        self._finish = self.redis.register_script(FINISH)
        self._renew = self.redis.register_script(RENEW)
        self._hasten = self.redis.register_script(HASTEN)

    def mark(self, key: str, *, due: float, priority: SyncPriority = SyncPriority.EVENT) -> None:
        """Mark `key` for a sync that is due at `due`, seconds since the epoch. One round trip."""
        names = [self.keys.dirty, self.keys.dirty_generations, self.keys.wake]
        self._mark(keys=names, args=[key, int(priority), due])

    def mark_all(self, keys: Iterable[str], *, due: float, priority: SyncPriority = SyncPriority.EVENT) -> None:
        """Mark all `keys`, in one round trip."""
        names = [self.keys.dirty, self.keys.dirty_generations, self.keys.wake]
        with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                self._mark(keys=names, args=[key, int(priority), due], client=pipe)
            pipe.execute()

    def claim(self, *, now: float, lease: float) -> SyncLease | None:
        """Claim the most urgent key that is due at `now` for `lease` seconds; None if no key is free and due."""
        names = [self.keys.dirty, self.keys.dirty_generations, self.keys.dirty_leases]
        token = f"{self.owner}.{secrets.token_hex(4)}"
        while claimed := self._claim(keys=names, args=[token, now, lease]):
            key, generation, priority = claimed
            try:
                return SyncLease(key.decode(), int(generation), SyncPriority(int(priority)), token)
            except ValueError:  # malformed, hence not marked by Steward: it must not block the keys behind it
                self._remove(key)
        return None

    def _remove(self, key: bytes) -> None:
        with self.redis.pipeline() as pipe:
            pipe.zrem(self.keys.dirty, key)
            pipe.hdel(self.keys.dirty_generations, key)
            pipe.hdel(self.keys.dirty_leases, key)
            pipe.execute()

    def renew(self, claim: SyncLease, *, lease: float) -> bool:
        """Extend `claim` to `lease` seconds from now; False if another process holds it, or Redis lost it."""
        return bool(self._renew(keys=[self.keys.dirty_leases], args=[claim.key, claim.owner, lease]))

    def finish(self, claim: SyncLease, *, retry_at: float | None = None, failed: bool = False) -> bool:
        """Give `claim` back. The key stays dirty if it was marked meanwhile, or is due again at `retry_at`.

        A mark that came meanwhile is due at once, unless the sync `failed`: then it also waits until `retry_at`.
        False, and nothing done, if the claim was lost.
        """
        score = "" if retry_at is None else repr(int(claim.priority) * _PRIORITY_SCALE + retry_at)
        names = [self.keys.dirty, self.keys.dirty_generations, self.keys.dirty_leases, self.keys.wake]
        return bool(self._finish(keys=names, args=[claim.key, claim.owner, claim.generation, score, int(failed)]))

    def marked(self, keys: Sequence[str]) -> list[bool]:
        """Which of `keys` are dirty. One round trip."""
        with self.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.zscore(self.keys.dirty, key)
            return [score is not None for score in pipe.execute()]

    def pending(self, *, until: float, limit: int = 100) -> dict[str, float]:
        """Return dirty key → due time, for at most `limit` keys of each priority that are due at `until` or earlier."""
        waits: dict[str, float] = {}
        for priority in SyncPriority:
            start = priority * _PRIORITY_SCALE
            rows: Any = self.redis.zrangebyscore(
                self.keys.dirty, start, start + until, start=0, num=limit, withscores=True
            )
            waits |= {text(key): score - start for key, score in rows}
        return waits

    def leased(self) -> list[str]:
        """The keys whose sync runs, or has died within the time of its lease."""
        return [text(key) for key in self.redis.hkeys(self.keys.dirty_leases)]

    def hasten(self, keys: Sequence[str], *, due: float) -> None:
        """Advance those of `keys` that are due later to `due`; their priorities stay."""
        for start in range(0, len(keys), _PAGE_SIZE):
            self._hasten(keys=[self.keys.dirty, self.keys.wake], args=[due, *keys[start : start + _PAGE_SIZE]])

    def wait(self, seconds: float) -> None:
        """Return when a key is marked, or after `seconds`."""
        self.redis.blpop([self.keys.wake], timeout=seconds)

    def __len__(self) -> int:
        return int(self.redis.zcard(self.keys.dirty))
