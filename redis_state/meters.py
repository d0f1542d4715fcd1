"""Counters and gauges for monitoring, in Redis, so that one page shows those of all processes.

Counts are collected in memory and written by `flush`. A killed process loses its unwritten counts.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

_SEPARATOR = "|"


class Meters:
    """The counters and gauges of one board. Safe to share between threads."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._key = keys.meters
        self._pending: Counter[str] = Counter()
        self._gauges: dict[str, float] = {}
        self._lock = threading.Lock()

    def count(self, name: str, *labels: str, by: int = 1) -> None:
        """Add `by` to a counter; labels must not come from untrusted input."""
        with self._lock:
            self._pending[_SEPARATOR.join((name, *labels))] += by

    def gauge(self, name: str, *labels: str, value: float) -> None:
        """Set a gauge to `value`."""
        with self._lock:
            self._gauges[_SEPARATOR.join((name, *labels))] = value

    def flush(self) -> None:
        """Write the counts since the last call: one round trip, or none if there are none."""
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
        """Yield (name and labels, value) of all counters and gauges, sorted."""
        values = {text(field): float(value) for field, value in self._redis.hgetall(self._key).items()}
        for field in sorted(values):
            yield tuple(field.split(_SEPARATOR)), values[field]
