"""Counters for whoever watches the whole: kept in Redis, so that one page tells of every process.

Counted in memory, written with `flush`. What a killed process had not written is lost: figures, not facts.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

_BETWEEN = "|"


class Meters:
    """The counters and gauges of one board. Safe to share between threads."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._key = keys.meters
        self._pending: Counter[str] = Counter()
        self._gauges: dict[str, float] = {}
        self._lock = threading.Lock()

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """One more of these; the labels are words of ours."""
        with self._lock:
            self._pending[_BETWEEN.join((name, *labels))] += by

    def gauge(self, name: str, *labels: str, value: float) -> None:
        """It stands so now."""
        with self._lock:
            self._gauges[_BETWEEN.join((name, *labels))] = value

    def flush(self) -> None:
        """Write what was counted since the last time: one round trip, none where that is nothing."""
        with self._lock:
            pending, gauges = self._pending, self._gauges
            self._pending, self._gauges = Counter(), {}
        if not pending and not gauges:
            return
        with self._redis.pipeline(transaction=False) as pipe:
            for field, number in pending.items():
                pipe.hincrby(self._key, field, number)
            if gauges:
                written: Fields = dict(gauges)
                pipe.hset(self._key, mapping=written)
            pipe.execute()

    def all(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """Name and labels → value, of everything that was ever written, in order."""
        found = {text(field): float(value) for field, value in self._redis.hgetall(self._key).items()}
        for field in sorted(found):
            yield tuple(field.split(_BETWEEN)), found[field]
