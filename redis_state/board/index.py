"""What the last sync of each request saw: the queue in memory, and what was said about it.

All of it can be read from the Hub again. It is kept so that a turn, a position or an unchanged comment costs no call.

A board has a hundred thousand settled requests and a handful in motion. So those that wait, those that are queued or
run, and those that nobody judged yet are each listed apart, in step with the entries (one transaction writes both):
whoever ticks reads these lists and never all of the entries.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from leaderboard.dispatch import WaitingRequest
from leaderboard.requests import RequestPath, parse_path
from redis_state.board.catalog import Catalog
from redis_state.board.entry import IndexEntry, Origin
from redis_state.board.neighbours import Neighbours, starting_with
from redis_state.board.request_snapshot import RequestSnapshot
from redis_state.board.waiting import LINE, WaitingList, turn_of
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

_BUSY = ("queued", "running")
_SCAN = 1_000
CHANGES = 5_000
"""Changes that are kept for those who follow them."""


class Index:
    """The requests of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._line = redis.register_script(LINE)
        self._waiting = WaitingList(redis, keys)
        self.catalog = Catalog(redis, keys)
        self.neighbours = Neighbours(redis, keys)

    def get(self, path: str) -> IndexEntry:
        """The entry at `path`; a new one where there is none."""
        return self.find([path])[0] or IndexEntry(path=path)

    def find(self, paths: Sequence[str]) -> list[IndexEntry | None]:
        """The entry at each of `paths`, None where there is none. One round trip."""
        found = self._redis.hmget(self._keys.requests, list(paths)) if paths else []
        return [_entry(raw) if raw is not None else None for raw in found]

    def put(self, *entries: IndexEntry) -> None:
        """Remember `entries`. One round trip. For whoever holds the lease of their requests: see `change`."""
        if entries:
            with self._redis.pipeline() as pipe:
                self._write(pipe, entries)
                pipe.execute()

    def change(self, path: str, update: Callable[[IndexEntry], IndexEntry | None]) -> None:
        """Remember what `update` makes of the entry at `path` as it is by then (None: leave it), if there is one.

        For all who look at a request beside its own sync, which may write meanwhile: nothing that it wrote is undone.
        `update` may be called more than once. Three round trips.
        """

        def written(pipe: Any) -> None:
            raw = pipe.hget(self._keys.requests, path)
            entry = _entry(raw) if raw is not None else None
            changed = update(entry) if entry is not None else None
            pipe.multi()
            if changed is not None and changed != entry:
                self._write(pipe, [changed])

        self._redis.transaction(written, self._keys.requests)  # tried again where any entry changed: one hash holds all

    def _write(self, pipe: Any, entries: Sequence[IndexEntry]) -> None:
        keys = self._keys
        threads: Fields = {entry.thread: entry.path for entry in entries if entry.thread is not None}
        lines = [part for e in entries for part in (e.path, json.dumps(turn_of(e)) if e.state == "waiting" else "")]
        lists = {
            keys.busy: {entry.path for entry in entries if entry.state in _BUSY},
            keys.unjudged: {entry.path for entry in entries if entry.state == "new"},
        }
        paths = {entry.path for entry in entries}
        pipe.hset(keys.requests, mapping={e.path: e.model_dump_json(exclude_defaults=True) for e in entries})
        self._line(keys=[keys.waiting, keys.waiting_changes, keys.waiting_version], args=lines, client=pipe)
        pipe.zadd(keys.models, {_by_model(path): 0 for path in paths})
        self.tell(paths, pipe)
        self.catalog.add(pipe, entries)
        self.neighbours.add(pipe, entries)
        for name, members in lists.items():
            if members:
                pipe.sadd(name, *members)
            if others := paths - members:
                pipe.srem(name, *others)
        if threads:
            pipe.hset(keys.request_threads, mapping=threads)

    def judged(self, path: str, file_oid: str, standing: RequestSnapshot | None = None) -> None:
        """The file with this blob id was looked at, and stands so, whatever else is known of `path`.

        What was found out meanwhile about the model's access is kept.
        """
        entry = self.get(path)
        seen = entry.standing if standing is None else standing.model_copy(update={"access": entry.standing.access})
        if (entry.file_oid, entry.standing) != (file_oid, seen):
            self.put(entry.model_copy(update={"file_oid": file_oid, "standing": seen}))

    def drop(self, path: str) -> None:
        """The file at `path` is gone."""
        keys = self._keys
        with self._redis.pipeline() as pipe:
            self._line(keys=[keys.waiting, keys.waiting_changes, keys.waiting_version], args=[path, ""], client=pipe)
            for name in (keys.requests, keys.origins, keys.scores):
                pipe.hdel(name, path)
            for name in (keys.busy, keys.unjudged):
                pipe.srem(name, path)
            self.tell([path], pipe)
            self.catalog.drop(pipe, path)
            pipe.zrem(keys.models, _by_model(path))
            pipe.execute()

    def changes(self) -> str:
        """A word that is another one after every change."""
        newest: Any = self._redis.xrevrange(self._keys.request_changes, count=1)
        return text(newest[0][0]) if newest else "0-0"

    def tell(self, paths: Iterable[str], pipe: Any = None) -> None:
        """Tell those who follow the index, by `pipe`, that `paths` changed, or what is kept beside their entries."""
        if told := list(paths):
            fields: Fields = {"paths": json.dumps(told)}
            (pipe or self._redis).xadd(self._keys.request_changes, fields, maxlen=CHANGES, approximate=True)

    def of_model(self, model: str) -> list[IndexEntry]:
        """The requests for `model`, whatever the case of its name, by path. Two round trips."""
        members = self._redis.zrangebylex(self._keys.models, *starting_with(model.lower()))
        paths = [text(member).partition("\0")[2] for member in members]
        return [entry for entry in self.find(paths) if entry is not None]

    def models_like(self, model: str) -> list[str]:
        """Models of the same organisation, or whose names begin alike, in lower case; 500 at most. Two round trips."""
        start = model.lower().encode(errors="surrogateescape")
        org, slash, _ = start.partition(b"/")
        found: dict[str, None] = {}
        for prefix in (org + b"/" if slash else start[:3], start[:3]):
            for member in self._redis.zrangebylex(self._keys.models, b"[" + prefix, b"[" + prefix + b"\xff", 0, 250):
                found[text(member).partition("\0")[0]] = None
        return list(found)

    def waiting(self) -> tuple[WaitingRequest, ...]:
        """Those that wait for their turn. One round trip, and another one for those that changed since the last time.

        The same tuple where nothing changed.
        """
        return self._waiting.read()

    def count(self) -> int:
        """How many requests there are."""
        return int(self._redis.hlen(self._keys.requests))

    def count_waiting(self) -> int:
        """How many wait for their turn."""
        return int(self._redis.hlen(self._keys.waiting))

    def busy(self) -> list[IndexEntry]:
        """Those that lie in RQ or run: about as many as two for each worker. Two round trips."""
        paths = sorted(text(path) for path in self._redis.smembers(self._keys.busy))
        return [entry for entry in self.find(paths) if entry is not None and entry.state in _BUSY]

    def unjudged(self) -> list[str]:
        """The paths of those whose file was seen and not judged yet."""
        return sorted(text(path) for path in self._redis.smembers(self._keys.unjudged))

    def paths(self) -> Iterator[str]:
        """Every path, a few at a time; one that comes or goes meanwhile may be told or not, or twice."""
        for path, _ in self._redis.hscan_iter(self._keys.requests, count=_SCAN):
            yield text(path)

    def of_thread(self, number: int) -> str | None:
        """The path of the request that thread `number` of the requests repo is about."""
        raw = self._redis.hget(self._keys.request_threads, str(number))
        return None if raw is None else text(raw)

    def origin(self, path: str) -> Origin:
        """Who brought the file at `path`; nobody in particular where that is not known any more."""
        raw = self._redis.hget(self._keys.origins, path)
        return Origin.model_validate_json(raw) if raw is not None else Origin()

    def knows_origin(self, path: str) -> bool:
        """Whether it was ever noted who brought the file at `path`."""
        return bool(self._redis.hexists(self._keys.origins, path))

    def put_origins(self, origins: Iterable[tuple[str, Origin]]) -> None:
        """Remember who brought the files at these paths."""
        mapping: Fields = {path: origin.model_dump_json(exclude_defaults=True) for path, origin in origins}
        if mapping:
            self._redis.hset(self._keys.origins, mapping=mapping)

    def forget_origins(self, paths: Iterable[str]) -> None:
        """It is not known any more who brought the files at `paths`: whoever needs it finds out."""
        if gone := list(paths):
            self._redis.hdel(self._keys.origins, *gone)

    def head(self, repo: str) -> str | None:
        """The last commit of `repo` whose changes were marked dirty."""
        raw = self._redis.get(self._keys.head(repo))
        return None if raw is None else text(raw)

    def put_head(self, repo: str, commit: str) -> None:
        """Remember that everything up to `commit` of `repo` was marked dirty."""
        self._redis.set(self._keys.head(repo), commit)


def _by_model(path: str) -> str:
    """A path in the list that is ordered by model; one that cannot be a request's stands under its own name."""
    where = parse_path(path)
    return f"{(where.model if isinstance(where, RequestPath) else path).lower()}\0{path}"


def _entry(raw: bytes | str) -> IndexEntry | None:
    try:
        return IndexEntry.model_validate_json(raw)
    except ValidationError:
        return None  # written by another version: the next sync writes it anew
