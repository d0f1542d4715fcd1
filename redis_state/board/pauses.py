"""The pauses that dispatch obeys: a copy in Redis of the file on the Hub."""

from __future__ import annotations

import structlog

from leaderboard.holds import UNKNOWN, BadPauses, Hold, parse_pauses
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

log = structlog.get_logger()

PAUSED = "pauses"
"""Dirty key: the file of pauses may have changed, or was not read yet."""


class Pauses:
    """The pauses of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def all(self) -> dict[str, Hold]:
        """Subject → pause, as last read; a pause of everything if the file was unreadable from the start.

        Empty if there is no file, or it was not read yet: see `are_known`.
        """
        raw, oid = self._redis.hmget(self._keys.pauses, ["file", "oid"])
        if raw is None:
            return dict(UNKNOWN) if oid else {}
        return parse_pauses(raw if isinstance(raw, bytes) else raw.encode())

    def are_known(self) -> bool:
        """Whether a sync has read the file, or found that there is none, since Redis was last empty."""
        return bool(self._redis.hexists(self._keys.pauses, "oid"))

    def is_read(self, oid: str | None) -> bool:
        """Whether the stored copy is of the file with the git blob id `oid` (None: there is no file)."""
        known = self._redis.hget(self._keys.pauses, "oid")
        return known is not None and text(known) == (oid or "")

    def learn(self, oid: str | None, data: bytes | None) -> None:
        """Store the file; `oid` None: there is no file.

        An invalid file, or one too large to be read (`data` None), is not stored, and the last valid one applies. If no
        valid file was read before, as after a loss of Redis, everything is paused until the file is repaired.
        """
        fields: Fields = {"oid": oid or ""}
        try:
            if data is not None:
                parse_pauses(data)
                fields["file"] = data
        except BadPauses as error:
            log.error("the file of pauses is invalid; the last valid pauses apply", error=str(error))
        with self._redis.pipeline() as pipe:
            if oid is None:
                pipe.delete(self._keys.pauses)
            pipe.hset(self._keys.pauses, mapping=fields)
            pipe.execute()
