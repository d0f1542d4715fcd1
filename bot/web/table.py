"""Every public request of a board in this process's memory, to be searched and sorted in milliseconds.

It is read from Redis as a whole once, and then follows the stream of changes that the index writes with every entry
(`Keys.request_changes`). Whoever finds that the entry it read last is no longer in the stream (it is from before an
amnesia, or too far behind) reads everything again.

Race closed: Redis goes away while changes are read. What was read is forgotten only after all of it has become rows, so
the next look reads it again.
Race accepted: scores are noted a moment before the index tells of the request's end; whoever reads in between sees them
at the next change.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import structlog
from redis.exceptions import RedisError

from bot.core.context import BoardContext
from bot.results.searching import licences_of, scores_of
from bot.web.rows import RequestRow, RequestRows, row_of
from leaderboard.flags import FlagRecord

log = structlog.get_logger()

CHUNK, BEHIND = 2_000, 1_000
"""Entries that are read at a time; changes after which everything is read again."""
MANY, REST = 5_000, 20.0
"""Rows that are put in order while somebody waits; more are then left alone for so many times as long as it took."""


class RequestTable:
    """The public requests of one board. Safe to share between threads."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self._lock = threading.Lock()
        self._lines: dict[str, RequestRow] = {}
        self._rows: RequestRows | None = None
        self._building, self._built, self._took = False, 0.0, 0.0
        self._changed = False
        """Whether something was read that is not in the rows yet."""
        self._seen, self._flags = b"", ""
        self._flagged: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())

    def rows(self) -> RequestRows:
        """The rows as they are now; the same object as long as nothing changes.

        Where there are many, they are put in order in the background, and now and then: until then the rows are those
        of some seconds ago.
        """
        with self._lock:
            if self._rows is None or (len(self._lines) < MANY and not self._building):
                return self._build()
            if not self._building and time.monotonic() - self._built > REST * self._took:
                self._building = True
                threading.Thread(target=self._build_aside, daemon=True).start()
            return self._rows

    def _build_aside(self) -> None:
        try:
            self._build(before=self._rows)
        except RedisError:  # whoever looks next starts another one, and their other questions tell them of it
            log.warning("the table could not be brought up to date", exc_info=True)
        finally:
            self._building = False

    def _build(self, *, before: RequestRows | None = None) -> RequestRows:
        began = time.monotonic()
        self._changed |= self._follow_flags()
        self._changed |= self._follow()
        if self._changed or self._rows is None:
            self._rows = RequestRows(tuple(self._lines.values()), self._flagged, before)
            self._changed = False
            self._built = time.monotonic()
            self._took = self._built - began
        return self._rows

    def _follow(self) -> bool:
        """Bring the lines in step with the index; whether any changed."""
        redis, name = self.context.redis, self.context.keys.request_changes
        found: Any = redis.xrange(name, min=self._seen, count=BEHIND) if self._seen else []
        if not found or found[0][0] != self._seen or len(found) == BEHIND:
            return self._read_all()
        paths = {path for _, fields in found[1:] for path in json.loads(fields[b"paths"])}
        self._reread(sorted(paths), self._lines)
        self._seen = found[-1][0]
        return bool(paths)

    def _read_all(self) -> bool:
        # The place in the stream first: what changes while everything is read is then read twice, and not missed.
        newest: Any = self.context.redis.xrevrange(self.context.keys.request_changes, count=1)
        lines: dict[str, RequestRow] = {}
        paths = self.context.index.paths()
        while chunk := list(islice(paths, CHUNK)):
            self._reread(chunk, lines)
        self._lines, self._seen = lines, newest[0][0] if newest else b""
        return True

    def _reread(self, paths: Sequence[str], lines: dict[str, RequestRow]) -> None:
        entries = self.context.index.find(paths)
        there = [entry for entry in entries if entry is not None]
        scores, licences = scores_of(self.context, there), licences_of(self.context, there)
        for path, entry in zip(paths, entries, strict=True):
            if entry is None or entry.is_private:
                lines.pop(path, None)
            else:
                lines[path] = row_of(entry, scores.get(path), licences.get(path, ""))

    def _follow_flags(self) -> bool:
        commit, records = self.context.flag_book.known()
        if commit == self._flags:
            return False
        self._flags, self._flagged = commit, hidden_by(records())
        return True


def hidden_by(records: Iterable[FlagRecord]) -> tuple[frozenset[str], frozenset[str]]:
    """The names, in lower case, and the digests of weights whose rows are hidden as flagged."""
    whole = [one for one in records if one.stands and one.kind.hides and one.scope.is_whole]
    names = frozenset(name.casefold() for one in whole for name in one.names)
    return names, frozenset(one.weights for one in whole if one.weights)
