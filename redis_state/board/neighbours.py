"""Requests by the properties that they share: weights, submitter, organisation.

Sorted sets beside the index, written in the same transaction as the entries. A set may name a request that changed or
was removed: readers check the entries, and skip those that do not fit.

After a loss of Redis the sets are rebuilt with the entries: organisation and time are in every request file, submitter
and digest of the weights in its `steward` block, which a file from before the board's adoption does not have.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from redis_state.keys import Keys
from redis_state.redis import Fields, Redis, text

if TYPE_CHECKING:
    from redis_state.board.entry import IndexEntry

MAX_READ = 1_000
"""Requests of one set that are read; an account with more in its window is over its quota anyway."""


class Neighbours:
    """The requests of one board by shared properties."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    def add(self, pipe: Any, entries: Iterable[IndexEntry]) -> None:
        """Add to `pipe` the commands that list `entries`."""
        weights: Fields = {}
        accounts: dict[str, Fields] = {}
        for entry in entries:
            if entry.weights:
                weights[f"{entry.weights}\0{entry.path}"] = 0
            organisation = entry.path.rpartition("/")[0]
            for kind, name in (("submitter", entry.known_submitter), ("organisation", organisation)):
                if name:
                    accounts.setdefault(self._keys.submissions(kind, name.casefold()), {})[entry.path] = entry.time
        if weights:
            pipe.zadd(self._keys.weights, weights)
        for key, times in accounts.items():
            pipe.zadd(key, times)

    def find(
        self, *, models: Iterable[str], weights: str, accounts: Iterable[tuple[str, str]], window: tuple[float, float]
    ) -> set[str]:
        """Paths of requests that may be for one of `models` (in any case), have these `weights`, or be by one of
        `accounts` (`submitter` or `organisation`, and the name) within `window` (seconds since the epoch).

        One round trip.
        """
        with self._redis.pipeline(transaction=False) as pipe:
            for model in {model.lower() for model in models}:
                pipe.zrangebylex(self._keys.models, *starting_with(model), start=0, num=MAX_READ)
            if weights:
                pipe.zrangebylex(self._keys.weights, *starting_with(weights), start=0, num=MAX_READ)
            lexical_count = len(pipe)
            for kind, name in accounts:
                key = self._keys.submissions(kind, name.casefold())
                pipe.zrangebyscore(key, window[0], window[1], start=0, num=MAX_READ)
            answers = pipe.execute()
        after_nul = {text(member).partition("\0")[2] for members in answers[:lexical_count] for member in members}
        return after_nul | {text(path) for paths in answers[lexical_count:] for path in paths}


def starting_with(word: str) -> tuple[bytes, bytes]:
    """The bounds for ZRANGEBYLEX of the members that begin with `word` and NUL."""
    start = word.encode(errors="surrogateescape") + b"\0"
    return b"[" + start, b"[" + start + b"\xff"
