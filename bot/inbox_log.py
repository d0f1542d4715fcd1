"""What is kept of deliveries: read, looked up, and sent through the inbox once more.

A delivery leaves a word (what was made of it), the keys it marked, and its raw body. What became of a key since is not
written down with it: it is asked of the marks themselves, which know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from bot.deliveries import Mark
from bot.inbox import Delivery
from wire.dirty import Priority
from wire.keys import Keys
from wire.redis import Redis, text

Standing = Literal["done", "waiting", "failing", "in hand", "parked"]
"""Of a key: in step since, waiting for its sync, waiting after failures, being synced, given up until woken."""
_PAGE = 200


@dataclass(frozen=True)
class Kept:
    """One delivery as it was stored. `received` in seconds since the epoch; `entry` is its place in the stream."""

    entry: str
    id: str
    received: float
    verdict: str
    marks: tuple[Mark, ...]
    body: bytes


class InboxLog:
    """The deliveries that one board keeps."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def newest(self, *, verdict: str | None = None, before: str = "") -> Iterator[Kept]:
        """All that is kept, newest first, a page at a time: only those with this `verdict`, where one is given, and
        only those whose place in the stream is before `before`."""
        below = f"({before}" if is_entry(before) else "+"
        while page := self._redis.xrevrange(self._keys.inbox, max=below, count=_PAGE):
            for entry, fields in page:
                kept = _kept(entry, fields)
                if verdict in (None, kept.verdict):
                    yield kept
            below = f"({text(page[-1][0])}"

    def find(self, name: str) -> Kept | None:
        """The delivery with this id, or at this place in the stream; None where it is not kept, or not any more."""
        claim = self._redis.get(self._keys.delivery(name))
        entry = text(claim).partition(" ")[0] if claim else name
        if not is_entry(entry):
            return None
        found = self._redis.xrange(self._keys.inbox, min=entry, max=entry, count=1)
        return _kept(*found[0]) if found else None

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

    def standing(self, key: str) -> Standing:
        """What has become of the dirty key `key` by now."""
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.hexists(self._keys.parked, key)
            pipe.zscore(self._keys.dirty, key)
            pipe.hexists(self._keys.dirty_leases, key)
            pipe.hexists(self._keys.dirty_tries, key)
            is_parked, due, is_held, has_failed = pipe.execute()
        if due is None:
            return "parked" if is_parked else "done"
        return "in hand" if is_held else "failing" if has_failed else "waiting"


def again(kept: Kept, *, now: float) -> Delivery:
    """The delivery by which `kept` goes through the inbox once more, at `now`, under an id of its own."""
    return Delivery(f"replay-{kept.entry}-{int(now * 1000)}", kept.body, now)


def is_entry(name: str) -> bool:
    """Whether `name` reads like a place in the stream."""
    time, _, number = name.partition("-")
    return all(part.isascii() and part.isdigit() and len(part) < 20 for part in (time, number))


def _kept(entry: Any, fields: Any) -> Kept:
    lines = (line.split(" ", 1) for line in text(fields.get(b"marks", b"")).splitlines())
    return Kept(
        entry=text(entry),
        id=text(fields.get(b"id", b"")),
        received=float(fields.get(b"at", b"0")),
        verdict=text(fields.get(b"verdict", b"")),
        marks=tuple(Mark(key, Priority(int(priority))) for priority, key in lines),
        body=fields.get(b"body", b""),
    )
