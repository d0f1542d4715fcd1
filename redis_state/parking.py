"""Parked syncs: they failed too often, are listed with their error, and wait for a maintainer or the next event.

Race closed: a process that wakes a sync dies, or Redis refuses the write, between removing the sync from the list and
marking its key. One script does both; otherwise the sync would be neither parked nor dirty, and never run again.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from redis_state import dirty
from redis_state.dirty import SyncPriority
from redis_state.keys import Keys
from redis_state.redis import Redis, text

WAKE = f"""
if redis.call('HDEL', KEYS[4], ARGV[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[5], ARGV[1])
redis.call('HDEL', KEYS[6], ARGV[1])
{dirty.MARK}
"""


class ParkedSync(BaseModel):
    """Why a sync is not retried. `since` in seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    error: str
    tries: int
    since: float


class ParkedSyncs:
    """The parked syncs of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._wake = redis.register_script(WAKE)

    def park(self, parked: ParkedSync) -> None:
        """List this sync as parked."""
        self._redis.hset(self._keys.parked, parked.key, parked.model_dump_json())

    def all(self) -> list[ParkedSync]:
        """All parked syncs, the longest parked first."""
        entries = (_parse(raw) for raw in self._redis.hvals(self._keys.parked))
        return sorted((parked for parked in entries if parked is not None), key=lambda parked: parked.since)

    def wake(self, key: str, *, now: float) -> bool:
        """Unpark the sync of `key`: mark it dirty, and reset its number of failures. False if it is not parked."""
        keys = self._keys
        names = [keys.dirty, keys.dirty_generations, keys.wake, keys.parked]
        names += [keys.dirty_tries, keys.dirty_faults]
        return bool(self._wake(keys=names, args=[key, int(SyncPriority.PERSON), now]))


def _parse(raw: bytes | str) -> ParkedSync | None:
    try:
        return ParkedSync.model_validate_json(text(raw))
    except ValidationError:
        return None
