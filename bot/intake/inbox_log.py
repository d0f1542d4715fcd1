"""What is kept of deliveries: read, looked up, and sent through the inbox once more.

A delivery leaves a word (what was made of it), the keys it marked, and its raw body. What became of a key since is not
written down with it: it is asked of the marks themselves, which know.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bot.intake.deliveries import DirtyMark
from bot.intake.inbox import Delivery
from redis_state.dirty import SyncPriority
from redis_state.keys import Keys
from redis_state.redis import Redis, text

KeyState = Literal["done", "waiting", "failing", "in hand", "parked"]
"""Of a key: in step since, waiting for its sync, waiting after failures, being synced, given up until woken."""
_PAGE = 200
SPREAD = 16
"""Times its own length that a body may have on many lines."""


@dataclass(frozen=True)
class StoredDelivery:
    """One delivery as it was stored. `received` in seconds since the epoch; `entry` is its place in the stream."""

    entry: str
    id: str
    received: float
    verdict: str
    marks: tuple[DirtyMark, ...]
    body: bytes


class InboxLog:
    """The deliveries that one board keeps."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def newest(self, *, verdict: str | None = None, before: str = "") -> Iterator[StoredDelivery]:
        """All that is kept, newest first, a page at a time: only those with this `verdict`, where one is given, and
        only those whose place in the stream is before `before`."""
        below = f"({before}" if is_entry(before) else "+"
        while page := self._redis.xrevrange(self._keys.inbox, max=below, count=_PAGE):
            for entry, fields in page:
                stored = _stored_delivery(entry, fields)
                if verdict in (None, stored.verdict):
                    yield stored
            below = f"({text(page[-1][0])}"

    def find(self, name: str) -> StoredDelivery | None:
        """The delivery with this id, or at this place in the stream; None where it is not kept, or not any more."""
        claim = self._redis.get(self._keys.delivery(name))
        entry = text(claim).partition(" ")[0] if claim else name
        if not is_entry(entry):
            return None
        found = self._redis.xrange(self._keys.inbox, min=entry, max=entry, count=1)
        return _stored_delivery(*found[0]) if found else None

    def is_known(self, name: str) -> bool:
        """Whether a delivery with this id counts as received, be its body kept or not."""
        return bool(self._redis.exists(self._keys.delivery(name)))

    def counts(self) -> dict[str, int]:
        """What became of deliveries since Redis was empty → how many."""
        return {text(word): int(number) for word, number in self._redis.hgetall(self._keys.inbox_counts).items()}

    def size(self) -> tuple[int, int]:
        """How many are kept, and their bytes."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.xlen(self._keys.inbox)
            pipe.get(self._keys.inbox_bytes)
            number, size = pipe.execute()
        return int(number), int(size or 0)

    def standings(self, keys: Iterable[str]) -> dict[str, KeyState]:
        """What has become of each of these dirty keys by now. One round trip."""
        names = list(dict.fromkeys(keys))
        with self._redis.pipeline(transaction=False) as pipe:
            for key in names:
                pipe.hexists(self._keys.parked, key)
                pipe.zscore(self._keys.dirty, key)
                pipe.hexists(self._keys.dirty_leases, key)
                pipe.hexists(self._keys.dirty_tries, key)
            found = pipe.execute()
        return {key: _standing(*found[4 * at : 4 * at + 4]) for at, key in enumerate(names)}


def _standing(is_parked: bool, due: float | None, is_held: bool, has_failed: bool) -> KeyState:
    if due is None:
        return "parked" if is_parked else "done"
    return "in hand" if is_held else "failing" if has_failed else "waiting"


def again(stored: StoredDelivery, *, now: float) -> Delivery:
    """The delivery by which `kept` goes through the inbox once more, at `now`, under an id of its own."""
    return Delivery(f"replay-{stored.entry}-{int(now * 1000)}", stored.body, now)


def readable_body(body: bytes) -> str:
    """A body as people read it, in ASCII: JSON on many lines, anything else with all that is not plain escaped.

    JSON that would be SPREAD times as long on many lines, for it is nested a thousand deep, stays on one.
    """
    try:
        found, room, pieces = json.loads(body), SPREAD * len(body), list[str]()
        for piece in json.JSONEncoder(indent=2).iterencode(found):
            room -= len(piece)
            if room < 0:
                return json.dumps(found)
            pieces.append(piece)
        return "".join(pieces)
    except (ValueError, RecursionError):
        return plain(body.decode("utf-8", "backslashreplace"))


def plain(words: str) -> str:
    """A stranger's words in ASCII, without what moves a terminal's cursor or turns the direction of reading."""
    return "".join(c if c.isascii() and c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def is_entry(name: str) -> bool:
    """Whether `name` reads like a place in the stream."""
    time, _, number = name.partition("-")
    return all(part.isascii() and part.isdigit() and len(part) < 20 for part in (time, number))


def _stored_delivery(entry: Any, fields: Any) -> StoredDelivery:
    lines = (line.split(" ", 1) for line in text(fields.get(b"marks", b"")).splitlines())
    return StoredDelivery(
        entry=text(entry),
        id=text(fields.get(b"id", b"")),
        received=float(fields.get(b"at", b"0")),
        verdict=text(fields.get(b"verdict", b"")),
        marks=tuple(DirtyMark(key, SyncPriority(int(priority))) for priority, key in lines),
        body=fields.get(b"body", b""),
    )
