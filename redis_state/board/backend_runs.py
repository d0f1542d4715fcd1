"""The runs that the bot started on worker backends, by tier: for their costs, and while their platform lists them not.

Redis may lose all of this: the platform lists the runs of the last weeks by their labels.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import TypeAdapter, ValidationError

from leaderboard.backends import BackendRun
from leaderboard.tiers import Tier
from redis_state.keys import Keys
from redis_state.redis import Redis, text

BACKENDS = "backends"
"""Dirty key: attempts of a tier with a backend wait, or its runs may have changed."""
_RUN = TypeAdapter(BackendRun)


class BackendRuns:
    """The recorded runs of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def read(self, tier: Tier) -> list[BackendRun]:
        """The recorded runs of `tier`, oldest first. One round trip."""
        stored = (_run(raw) for raw in self._redis.hvals(self._keys.backend_runs(tier)))
        return sorted((run for run in stored if run is not None), key=lambda run: (run.created, run.id))

    def put(self, run: BackendRun) -> None:
        """Record one run."""
        self._redis.hset(self._keys.backend_runs(run.tier), run.id, _RUN.dump_json(run))

    def remove(self, run: BackendRun) -> None:
        """Forget one run."""
        self._redis.hdel(self._keys.backend_runs(run.tier), run.id)

    def replace(self, tier: Tier, runs: Iterable[BackendRun]) -> None:
        """Record exactly these runs of `tier`."""
        key = self._keys.backend_runs(tier)
        with self._redis.pipeline() as pipe:
            pipe.delete(key)
            for run in runs:
                pipe.hset(key, run.id, _RUN.dump_json(run))
            pipe.execute()


def _run(raw: bytes | str) -> BackendRun | None:
    try:
        return _RUN.validate_json(text(raw))
    except ValidationError:
        return None  # stored by another version: the platform lists it
