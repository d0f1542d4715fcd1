"""The runs that the bot started on worker backends, by tier: for their costs, and since platforms may list runs late.

Redis may lose all of this: the platform lists the runs of the last weeks by their labels.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pydantic import TypeAdapter, ValidationError

from leaderboard.backend_troubles import BackendTrouble
from leaderboard.backends import LIVE, BackendRun
from leaderboard.tiers import Tier
from redis_state.keys import Keys
from redis_state.redis import Redis, text

BACKENDS = "backends"
"""Dirty key: attempts of a tier with a backend wait, or its runs may have changed."""
_RUN, _TROUBLE = TypeAdapter(BackendRun), TypeAdapter(BackendTrouble)


class BackendRuns:
    """The recorded runs of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def live(self, tier: Tier) -> list[BackendRun]:
        """Return the live runs of `tier`, oldest first. One round trip for few runs, so pages may call it."""
        return _sorted(self._redis.hvals(self._keys.backend_runs(tier)))

    def read(self, tier: Tier) -> list[BackendRun]:
        """The runs of `tier` in 30 days, oldest first. One round trip."""
        with self._redis.pipeline() as pipe:
            pipe.hvals(self._keys.backend_runs(tier))
            pipe.hvals(self._keys.backend_past(tier))
            live, past = pipe.execute()
        return _sorted([*live, *past])

    def put(self, run: BackendRun) -> None:
        """Record one live run."""
        self._redis.hset(self._keys.backend_runs(run.tier), run.id, _RUN.dump_json(run))

    def remove(self, run: BackendRun) -> None:
        """Remove one live run."""
        self._redis.hdel(self._keys.backend_runs(run.tier), run.id)

    def replace(self, tier: Tier, runs: Iterable[BackendRun]) -> None:
        """Record exactly these runs of `tier`."""
        live, past = self._keys.backend_runs(tier), self._keys.backend_past(tier)
        with self._redis.pipeline() as pipe:
            pipe.delete(live, past)
            for run in runs:
                pipe.hset(live if run.stage in LIVE else past, run.id, _RUN.dump_json(run))
            pipe.execute()

    def troubles(self) -> list[BackendTrouble]:
        """Return the reasons why attempts of tiers do not run, sorted by tier."""
        stored = (_trouble(raw) for raw in self._redis.hvals(self._keys.backend_troubles))
        return sorted((trouble for trouble in stored if trouble is not None), key=lambda trouble: trouble.tier)

    def put_trouble(self, trouble: BackendTrouble) -> None:
        """Record why attempts of a tier do not run; `since` stays as recorded while the kind of trouble is the same."""
        of_kind = (each for each in self.troubles() if (each.tier, each.kind) == (trouble.tier, trouble.kind))
        earlier = next(of_kind, None)
        current = replace(trouble, since=earlier.since) if earlier is not None else trouble
        self._redis.hset(self._keys.backend_troubles, trouble.tier, _TROUBLE.dump_json(current))

    def clear_trouble(self, tier: Tier) -> None:
        """Record that `tier` has no trouble."""
        self._redis.hdel(self._keys.backend_troubles, tier)


def _sorted(stored: Iterable[bytes | str]) -> list[BackendRun]:
    runs = (run for run in map(_run, stored) if run is not None)
    return sorted(runs, key=lambda run: (run.created, run.id))


def _trouble(raw: bytes | str) -> BackendTrouble | None:
    try:
        return _TROUBLE.validate_json(text(raw))
    except ValidationError:
        return None  # stored by another version: the next sync stores it again


def _run(raw: bytes | str) -> BackendRun | None:
    try:
        return _RUN.validate_json(text(raw))
    except ValidationError:
        return None  # stored by another version: the platform lists it
