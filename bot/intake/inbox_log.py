"""The stored deliveries: listed, found by id, and replayed through the inbox.

A stored delivery has a verdict, the keys that it marked, and its raw body. The state of a key since then is not stored
with it, but read from the dirty queue.
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
"""State of a key: synced since, waiting for its sync, waiting after failures, being synced, parked until marked."""
_PAGE = 200
SPREAD = 16
"""How many times longer a body may become when it is indented."""


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
    """The stored deliveries of one board."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def newest(self, *, verdict: str | None = None, before: str = "") -> Iterator[StoredDelivery]:
        """The stored deliveries, newest first: only those with this `verdict`, if given, and only those before the
        place `before` in the stream. They are read page by page."""
        below = f"({before}" if is_entry(before) else "+"
        while page := self._redis.xrevrange(self._keys.inbox, max=below, count=_PAGE):
            for entry, fields in page:
                stored = _stored_delivery(entry, fields)
                if verdict in (None, stored.verdict):
                    yield stored
            below = f"({text(page[-1][0])}"

    def find(self, name: str) -> StoredDelivery | None:
        """The delivery with this id, or at this place in the stream; None if it is not stored."""
        claim = self._redis.get(self._keys.delivery(name))
        entry = text(claim).partition(" ")[0] if claim else name
        if not is_entry(entry):
            return None
        entries = self._redis.xrange(self._keys.inbox, min=entry, max=entry, count=1)
        return _stored_delivery(*entries[0]) if entries else None

    def is_known(self, name: str) -> bool:
        """Whether a delivery with this id counts as received, with or without a stored body."""
        return bool(self._redis.exists(self._keys.delivery(name)))

    def counts(self) -> dict[str, int]:
        """Verdict → number of deliveries since Redis was last empty."""
        return {text(word): int(number) for word, number in self._redis.hgetall(self._keys.inbox_counts).items()}

    def size(self) -> tuple[int, int]:
        """The number of stored deliveries, and their bytes."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.xlen(self._keys.inbox)
            pipe.get(self._keys.inbox_bytes)
            number, size = pipe.execute()
        return int(number), int(size or 0)

    def key_states(self, keys: Iterable[str]) -> dict[str, KeyState]:
        """The present state of each of these dirty keys. One round trip."""
        names = list(dict.fromkeys(keys))
        with self._redis.pipeline(transaction=False) as pipe:
            for key in names:
                pipe.hexists(self._keys.parked, key)
                pipe.zscore(self._keys.dirty, key)
                pipe.hexists(self._keys.dirty_leases, key)
                pipe.hexists(self._keys.dirty_tries, key)
            answers = pipe.execute()
        return {key: _key_state(*answers[4 * at : 4 * at + 4]) for at, key in enumerate(names)}


def _key_state(is_parked: bool, due: float | None, is_held: bool, has_failed: bool) -> KeyState:
    if due is None:
        return "parked" if is_parked else "done"
    return "in hand" if is_held else "failing" if has_failed else "waiting"


def replay_of(stored: StoredDelivery, *, now: float) -> Delivery:
    """The delivery that replays `stored` through the inbox at `now`, under a new id."""
    return Delivery(f"replay-{stored.entry}-{int(now * 1000)}", stored.body, now)


def readable_body(body: bytes) -> str:
    """A body in readable ASCII: indented JSON, or any other text with special characters escaped.

    JSON that would become SPREAD times as long by indentation, because it is deeply nested, stays on one line.
    """
    try:
        value, budget, pieces = json.loads(body), SPREAD * len(body), list[str]()
        for piece in json.JSONEncoder(indent=2).iterencode(value):
            budget -= len(piece)
            if budget < 0:
                return json.dumps(value)
            pieces.append(piece)
        return "".join(pieces)
    except (ValueError, RecursionError):
        return plain(body.decode("utf-8", "backslashreplace"))


def plain(words: str) -> str:
    """Untrusted text in ASCII, without characters that move a terminal's cursor or change the direction of text."""
    return "".join(c if c.isascii() and c.isprintable() else c.encode("unicode_escape").decode() for c in words)


def is_entry(name: str) -> bool:
    """Whether `name` has the form of a place in the stream."""
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
