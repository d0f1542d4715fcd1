"""Syncs that failed too often: kept apart with their reason, shown, and woken by hand or by the next event."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from wire.dirty import DirtyKeys, Priority
from wire.keys import Keys
from wire.redis import Redis, text


class Parked(BaseModel):
    """Why a sync is not tried any more. `since` in seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    key: str
    error: str
    tries: int
    since: float


class Parking:
    """The parked syncs of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def park(self, parked: Parked) -> None:
        """Do not try this sync again by itself."""
        self._redis.hset(self._keys.parked, parked.key, parked.model_dump_json())

    def all(self) -> list[Parked]:
        """Every parked sync, the longest parked first."""
        found = (_parse(raw) for raw in self._redis.hvals(self._keys.parked))
        return sorted((parked for parked in found if parked is not None), key=lambda parked: parked.since)

    def wake(self, key: str, *, now: float) -> bool:
        """Try the sync of `key` again, with all its tries; False where it is not parked."""
        if not self._redis.hdel(self._keys.parked, key):
            return False
        self._redis.hdel(self._keys.dirty_tries, key)
        DirtyKeys(self._redis, self._keys).mark(key, due=now, priority=Priority.PERSON)
        return True


def _parse(raw: bytes | str) -> Parked | None:
    try:
        return Parked.model_validate_json(text(raw))
    except ValidationError:
        return None
