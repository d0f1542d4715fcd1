"""What is paused: a copy in Redis of the file on the Hub, by which dispatch goes."""

from __future__ import annotations

import structlog

from leaderboard.holds import UNKNOWN, BadPauses, Hold, parse_pauses
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

log = structlog.get_logger()

PAUSED = "pauses"
"""Dirty key: the file of pauses may have changed, or nobody has read it yet."""


class Pauses:
    """The pauses of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def all(self) -> dict[str, Hold]:
        """What is paused, and why, as the file was last read; everything, where it is broken from the first.

        Nothing where there is no file, or nobody has read it yet: see `are_known`.
        """
        raw, oid = self._redis.hmget(self._keys.pauses, ["file", "oid"])
        if raw is None:
            return dict(UNKNOWN) if oid else {}
        return parse_pauses(raw if isinstance(raw, bytes) else raw.encode())

    def are_known(self) -> bool:
        """Whether somebody has read the file, or found that there is none, since Redis was last empty."""
        return bool(self._redis.hexists(self._keys.pauses, "oid"))

    def is_read(self, oid: str | None) -> bool:
        """Whether the file whose git blob id is `oid` (None: that there is none) is the one that is known here."""
        known = self._redis.hget(self._keys.pauses, "oid")
        return known is not None and text(known) == (oid or "")

    def learn(self, oid: str | None, data: bytes | None) -> None:
        """The file is this one; `oid` None: there is none. One that cannot be read, or that is too large to be
        (`data` None), changes nothing: the last one holds.

        Where none was read before, as after Redis was lost, everything is paused until somebody mends the file.
        """
        fields: Fields = {"oid": oid or ""}
        try:
            if data is not None:
                parse_pauses(data)
                fields["file"] = data
        except BadPauses as error:
            log.error("the pauses that were there stay", error=str(error))
        with self._redis.pipeline() as pipe:
            if oid is None:
                pipe.delete(self._keys.pauses)
            pipe.hset(self._keys.pauses, mapping=fields)
            pipe.execute()
