"""The rows of the board's aggregated table, for the pages.

A row has the columns of `leaderboard.columns`. The row of a request's newest evaluation is stored under the request's
path; rows of earlier commits, and of other programs, are stored under an id of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from redis_state.keys import Keys
from redis_state.redis import Redis, text

Row = dict[str, Any]
_CHUNK = 2_000


class TableRows:
    """The rows of one board's table."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def find(self, paths: Iterable[str]) -> dict[str, Row]:
        """The rows of the newest evaluations of the requests at `paths`, as far as there are any. One round trip."""
        wanted = list(paths)
        values = self._redis.hmget(self._keys.table_rows, wanted) if wanted else []
        return {path: json.loads(raw) for path, raw in zip(wanted, values, strict=True) if raw is not None}

    def others(self) -> dict[str, Row]:
        """The rows of earlier commits and of other programs, by id. One round trip."""
        return {text(at): json.loads(raw) for at, raw in self._redis.hgetall(self._keys.other_table_rows).items()}

    def version(self) -> str:
        """Return a number that changes whenever a row in `others` changes. One round trip."""
        return text(self._redis.get(self._keys.other_table_rows_version) or b"")

    def write(
        self, newest: Mapping[str, Row], others: Mapping[str, Row], tell: Callable[[list[str], Any], object]
    ) -> None:
        """Replace all rows. `tell` notifies readers, by the given pipeline, of requests whose row was changed.

        One transaction writes rows and notifies: after a crash between the two, no later write would find the rows
        changed, and readers would keep the former ones.
        """
        self._replace(self._keys.table_rows, newest, tell)
        self._replace(
            self._keys.other_table_rows, others, lambda _, pipe: pipe.incr(self._keys.other_table_rows_version)
        )

    def _replace(self, key: str, rows: Mapping[str, Row], tell: Callable[[list[str], Any], object]) -> None:
        stored = {text(at): text(raw) for at, raw in self._redis.hgetall(key).items()}
        wanted = {at: json.dumps(row, separators=(",", ":")) for at, row in rows.items()}
        changed = [at for at, raw in wanted.items() if stored.get(at) != raw]
        changed += [at for at in stored if at not in wanted]
        for start in range(0, len(changed), _CHUNK):
            part = changed[start : start + _CHUNK]
            with self._redis.pipeline(transaction=True) as pipe:
                for at in part:
                    if at in wanted:
                        pipe.hset(key, at, wanted[at])
                    else:
                        pipe.hdel(key, at)
                tell(part, pipe)
                pipe.execute()
