"""The request index: the entry of each request, as its last sync saw it.

All of it can be read from the Hub again; with the index, dispatch, positions and unchanged comments need no call.

A board has a hundred thousand settled requests and few in progress. So requests that wait, that are queued or run, and
that are not judged yet are also listed separately; one transaction writes entry and lists. Periodic work reads these
lists, never all entries.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from leaderboard.dispatch import WaitingRequest
from leaderboard.request_paths import RequestPath, parse_path
from redis_state.board.catalog import Catalog
from redis_state.board.entry import IndexEntry, Origin
from redis_state.board.neighbours import Neighbours, starting_with
from redis_state.board.request_snapshot import RequestSnapshot
from redis_state.board.waiting import SET_LINES, WaitingList, waiting_request_of
from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

_BUSY = ("queued", "running")
_SCAN_COUNT = 1_000
MAX_CHANGES = 5_000
"""Changes that the stream holds for readers that follow the index."""

PUT_HEAD = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
return 1
"""


class Index:
    """The requests of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._set_lines = redis.register_script(SET_LINES)
        self._put_head = redis.register_script(PUT_HEAD)
        self._waiting = WaitingList(redis, keys)
        self.catalog = Catalog(redis, keys)
        self.neighbours = Neighbours(redis, keys)

    def get(self, path: str) -> IndexEntry:
        """The entry at `path`; a new one if there is none."""
        return self.find([path])[0] or IndexEntry(path=path)

    def find(self, paths: Sequence[str]) -> list[IndexEntry | None]:
        """The entry at each of `paths`, or None. One round trip."""
        values = self._redis.hmget(self._keys.requests, list(paths)) if paths else []
        return [_entry(raw) if raw is not None else None for raw in values]

    def put(self, *entries: IndexEntry) -> None:
        """Write `entries`. One round trip. The caller must hold the leases of their requests; else use `change`."""
        if entries:
            with self._redis.pipeline() as pipe:
                self._write(pipe, entries)
                pipe.execute()

    def change(self, path: str, update: Callable[[IndexEntry], IndexEntry | None]) -> None:
        """Replace the entry at `path`, if there is one, by what `update` returns for it (None: no change).

        For callers that do not hold the request's lease: its sync may write at the same time, and no write is lost.
        `update` may be called more than once. Three round trips.
        """

        def write(pipe: Any) -> None:
            raw = pipe.hget(self._keys.requests, path)
            entry = _entry(raw) if raw is not None else None
            changed = update(entry) if entry is not None else None
            pipe.multi()
            if changed is not None and changed != entry:
                self._write(pipe, [changed])

        self._redis.transaction(write, self._keys.requests)  # retried if any entry changed: one hash holds all

    def _write(self, pipe: Any, entries: Sequence[IndexEntry]) -> None:
        keys = self._keys
        threads: Fields = {entry.thread: entry.path for entry in entries if entry.thread is not None}
        lines: list[str] = []
        for entry in entries:
            lines += (entry.path, json.dumps(waiting_request_of(entry)) if entry.state == "waiting" else "")
        lists = {
            keys.busy: {entry.path for entry in entries if entry.state in _BUSY},
            keys.unjudged: {entry.path for entry in entries if entry.state == "new"},
            keys.unanswered: {e.path for e in entries if e.state == "new" and (e.unanswered or e.again)},
        }
        paths = {entry.path for entry in entries}
        pipe.hset(keys.requests, mapping={e.path: e.model_dump_json(exclude_defaults=True) for e in entries})
        self._set_lines(keys=[keys.waiting, keys.waiting_changes, keys.waiting_version], args=lines, client=pipe)
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
        """Record that the file with this blob id was judged, and its snapshot; other fields stay.

        The model's access in the entry also stays.
        """
        entry = self.get(path)
        snapshot = entry.standing if standing is None else standing.with_access(entry.standing.access)
        if (entry.file_oid, entry.standing) != (file_oid, snapshot):
            self.put(entry.changed(file_oid=file_oid, standing=snapshot))

    def drop(self, path: str) -> None:
        """Remove the request at `path`, whose file was deleted."""
        keys = self._keys
        with self._redis.pipeline() as pipe:
            self._set_lines(
                keys=[keys.waiting, keys.waiting_changes, keys.waiting_version], args=[path, ""], client=pipe
            )
            for name in (keys.requests, keys.origins, keys.scores):
                pipe.hdel(name, path)
            for name in (keys.busy, keys.unjudged, keys.unanswered):
                pipe.srem(name, path)
            self.tell([path], pipe)
            self.catalog.drop(pipe, path)
            pipe.zrem(keys.models, _by_model(path))
            pipe.execute()

    def changes(self) -> str:
        """A version of the index that differs after every change."""
        newest: Any = self._redis.xrevrange(self._keys.request_changes, count=1)
        return text(newest[0][0]) if newest else "0-0"

    def tell(self, paths: Iterable[str], pipe: Any = None) -> None:
        """Notify readers that follow the index, by `pipe`, that `paths` changed, or data beside their entries."""
        if changed := list(paths):
            fields: Fields = {"paths": json.dumps(changed)}
            (pipe or self._redis).xadd(self._keys.request_changes, fields, maxlen=MAX_CHANGES, approximate=True)

    def of_model(self, model: str) -> list[IndexEntry]:
        """The requests for `model`, ignoring case, by path. Two round trips."""
        members = self._redis.zrangebylex(self._keys.models, *starting_with(model.lower()))
        paths = [text(member).partition("\0")[2] for member in members]
        return [entry for entry in self.find(paths) if entry is not None]

    def put_renamed(self, old: str, new: str) -> None:
        """Record that the requests of the model `old` moved to the name `new`."""
        self._redis.hset(self._keys.renamed, old.lower(), new)

    def renamed(self, model: str) -> str:
        """The name to which the requests of `model` moved, ignoring case; "" if none is known."""
        return text(self._redis.hget(self._keys.renamed, model.lower()) or "")

    def models_like(self, model: str) -> list[str]:
        """Models of the same organisation, or with similar beginnings, in lower case; at most 500. Two round trips."""
        start = model.lower().encode(errors="surrogateescape")
        org, slash, _ = start.partition(b"/")
        models: dict[str, None] = {}
        for prefix in (org + b"/" if slash else start[:3], start[:3]):
            for member in self._redis.zrangebylex(self._keys.models, b"[" + prefix, b"[" + prefix + b"\xff", 0, 250):
                models[text(member).partition("\0")[0]] = None
        return list(models)

    def waiting(self) -> tuple[WaitingRequest, ...]:
        """The requests that wait for dispatch. One round trip, and one more for those changed since the last call.

        Returns the same tuple if nothing changed.
        """
        return self._waiting.read()

    def count(self) -> int:
        """The number of requests."""
        return int(self._redis.hlen(self._keys.requests))

    def count_waiting(self) -> int:
        """The number of requests that wait for dispatch."""
        return int(self._redis.hlen(self._keys.waiting))

    def busy(self) -> list[IndexEntry]:
        """The requests that are in RQ or run: about two per worker. Two round trips."""
        paths = sorted(text(path) for path in self._redis.smembers(self._keys.busy))
        return [entry for entry in self.find(paths) if entry is not None and entry.state in _BUSY]

    def unjudged(self) -> list[str]:
        """The paths of requests whose file was seen but not judged yet."""
        return sorted(text(path) for path in self._redis.smembers(self._keys.unjudged))

    def delayed(self, now: float) -> list[IndexEntry]:
        """The requests that are not judged yet because the Hub does not answer about their model, or because their
        retry is due later. Up to two round trips."""
        paths = sorted(text(path) for path in self._redis.smembers(self._keys.unanswered))
        return [
            entry
            for entry in self.find(paths)
            if entry is not None and (entry.waits_for_hub(now) or entry.waits_for_retry)
        ]

    def paths(self) -> Iterator[str]:
        """All paths, read in pages; a path that is added or removed meanwhile may be missing, or come twice."""
        for path, _ in self._redis.hscan_iter(self._keys.requests, count=_SCAN_COUNT):
            yield text(path)

    def of_thread(self, number: int) -> str | None:
        """The path of the request of thread `number` in the requests repo."""
        raw = self._redis.hget(self._keys.request_threads, str(number))
        return None if raw is None else text(raw)

    def origin(self, path: str) -> Origin:
        """The origin of the file at `path`; an empty one if it is not known."""
        raw = self._redis.hget(self._keys.origins, path)
        return Origin.model_validate_json(raw) if raw is not None else Origin()

    def knows_origin(self, path: str) -> bool:
        """Whether the origin of the file at `path` is known."""
        return bool(self._redis.hexists(self._keys.origins, path))

    def put_origins(self, origins: Iterable[tuple[str, Origin]]) -> None:
        """Write the origins of the files at these paths."""
        mapping: Fields = {path: origin.model_dump_json(exclude_defaults=True) for path, origin in origins}
        if mapping:
            self._redis.hset(self._keys.origins, mapping=mapping)

    def forget_origins(self, paths: Iterable[str]) -> None:
        """Remove the origins of the files at `paths`; a sync that needs one reads it from the Hub again."""
        if removed := list(paths):
            self._redis.hdel(self._keys.origins, *removed)

    def head(self, repo: str) -> str | None:
        """The last commit of `repo` whose changes were marked dirty."""
        raw = self._redis.get(self._keys.head(repo))
        return None if raw is None else text(raw)

    def life(self) -> str:
        """Return a random id that Redis holds until it is emptied, or make one. Read it before `put_head`."""
        new = secrets.token_hex(8)
        return text(self._redis.set(self._keys.life, new, nx=True, get=True) or new)

    def put_head(self, repo: str, commit: str, life: str) -> bool:
        """Record that all changes up to `commit` of `repo` were marked dirty since `life` was read.

        False, and nothing recorded, if Redis was emptied since `life` was read: the marks are gone.
        """
        return bool(self._put_head(keys=[self._keys.life, self._keys.head(repo)], args=[life, commit]))


def _by_model(path: str) -> str:
    """The member of `keys.models` for a path; a path that does not parse stands in for its model."""
    parsed = parse_path(path)
    return f"{(parsed.model if isinstance(parsed, RequestPath) else path).lower()}\0{path}"


def _entry(raw: bytes | str) -> IndexEntry | None:
    try:
        return IndexEntry.model_validate_json(raw)
    except ValidationError:
        return None  # written by another version: the next sync replaces it
