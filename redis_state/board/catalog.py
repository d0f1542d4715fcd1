"""Lists of requests by time, for all, by status and by submitter, so that a page reads only the requests it shows.

Sorted sets beside the index, written in the same transaction as the entries. A submitter's set may name a request that
now belongs to another submitter: readers check the entries, and skip those that do not fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from leaderboard.requests import Status
from redis_state.board.request_snapshot import OTHER
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

if TYPE_CHECKING:
    from redis_state.board.entry import IndexEntry

STATUSES = (*Status.__members__, OTHER)
PAGE_SIZE = 200


class Catalog:
    """The requests of one board, newest first."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def add(self, pipe: Any, entries: Iterable[IndexEntry]) -> None:
        """Add to `pipe` the commands that list `entries`."""
        times: Fields = {}
        statuses: dict[str, Fields] = {}
        submitters: dict[str, Fields] = {}
        for entry in entries:
            times[entry.path] = entry.time
            statuses.setdefault(entry.standing.status, {})[entry.path] = entry.time
            if entry.known_submitter:
                submitters.setdefault(entry.known_submitter.casefold(), {})[entry.path] = entry.time
        if not times:
            return
        pipe.zadd(self._keys.catalog(), times)
        for status in STATUSES:
            members = statuses.get(status, {})
            if members:
                pipe.zadd(self._keys.catalog("status", status), members)
            if others := times.keys() - members.keys():
                pipe.zrem(self._keys.catalog("status", status), *others)
        for name, members in submitters.items():
            pipe.zadd(self._keys.catalog("submitter", name), members)

    def drop(self, pipe: Any, path: str) -> None:
        """Add to `pipe` the commands that remove the request at `path`."""
        for name in (self._keys.catalog(), *(self._keys.catalog("status", status) for status in STATUSES)):
            pipe.zrem(name, path)

    def newest(
        self, *, status: str = "", submitter: str = "", after: tuple[float, str] | None = None
    ) -> Iterator[tuple[float, str]]:
        """Yield time and path of requests, newest first, beginning after `after`; read in pages.

        If both filters are given, only the submitter's applies.
        """
        name = self._keys.catalog()
        if submitter:
            name = self._keys.catalog("submitter", submitter.casefold())
        elif status:
            name = self._keys.catalog("status", status)
        start = self._start(name, after) if after is not None else 0
        page: Any
        while page := self._redis.zrange(name, start, start + PAGE_SIZE - 1, desc=True, withscores=True):
            yield from ((float(pair[1]), text(pair[0])) for pair in page)
            start += len(page)

    def of(self, *statuses: str) -> list[str]:
        """The paths of all requests in one of `statuses`, unordered. One round trip."""
        with self._redis.pipeline(transaction=False) as pipe:
            for status in statuses:
                pipe.zrange(self._keys.catalog("status", status), 0, -1)
            return [text(path) for members in pipe.execute() for path in members]

    def _start(self, name: str, after: tuple[float, str]) -> int:
        """The rank that follows `after`; if that request is gone, the rank that follows its time."""
        rank: Any = self._redis.zrevrank(name, after[1])
        if rank is not None:
            return int(rank) + 1
        return int(self._redis.zcount(name, f"({after[0]!r}", "+inf"))
