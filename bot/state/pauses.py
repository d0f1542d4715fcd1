"""What is paused: a copy in Redis of the file on the Hub, by which dispatch goes."""

from __future__ import annotations

import structlog

from leaderboard.holds import UNKNOWN, BadPauses, Hold, parse_pauses
from wire.keys import Keys
from wire.redis import Fields, Redis, text

log = structlog.get_logger()


class Pauses:
    """The pauses of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def all(self) -> dict[str, Hold]:
        """What is paused, and why, as the file was last read; everything, where it is broken from the first."""
        raw, oid = self._redis.hmget(self._keys.pauses, ["file", "oid"])
        if raw is None:
            return dict(UNKNOWN) if oid is not None else {}
        return parse_pauses(raw if isinstance(raw, bytes) else raw.encode())

    def is_read(self, oid: str | None) -> bool:
        """Whether the file whose git blob id is `oid` (None: that there is none) is the one that is known here."""
        known = self._redis.hget(self._keys.pauses, "oid")
        return text(known or b"") == (oid or "")

    def learn(self, oid: str | None, data: bytes | None) -> None:
        """The file is this one; `oid` None: there is none, `data` None: it is too large to be read. One that cannot be
        read changes nothing: the last one holds.

        Where none was read before, as after Redis was lost, everything is paused until somebody mends the file.
        """
        if oid is None:
            self._redis.delete(self._keys.pauses)
            return
        fields: Fields = {"oid": oid}
        try:
            parse_pauses(data or b"")
            fields["file"] = data or b""
        except BadPauses as error:
            log.error("the pauses that were there stay", error=str(error))
        self._redis.hset(self._keys.pauses, mapping=fields)
