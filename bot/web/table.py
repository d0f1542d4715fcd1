"""All public requests of a board in this process's memory, searched and sorted in milliseconds.

The table is read from Redis as a whole once, and then follows the stream of changes that the index writes with every
entry (`Keys.request_changes`). If the last entry read is no longer in the stream (Redis was lost, or the table is too
far behind), everything is read again.

Race closed: Redis goes away while changes are read. The place in the stream moves only after all changes have become
rows, so the next read gets them again.
Race accepted: scores are stored a moment before the index reports the request's end; a read in between shows them only
after the next change.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import structlog
from redis.exceptions import RedisError

from bot.core.context import BoardContext
from bot.results.searching import licences_of, scores_of
from bot.web.leaderboard_rows import LeaderboardRows
from bot.web.rank_ranges import MAX_PAIRED
from bot.web.request_row import NO_FACTS, RequestRow, facts_of, other_row, row_of
from bot.web.rows import RequestRows
from leaderboard.evaluations import differ
from leaderboard.flags import StandingFlags
from leaderboard.search import Value

log = structlog.get_logger()

CHUNK_SIZE, MAX_CHANGES = 1_000, 1_000
"""Entries read at a time; number of changes from which everything is read again."""
MAX_SYNCHRONOUS_ROWS, REST_FACTOR = 5_000, 20.0
"""Larger tables are rebuilt in the background, with a pause of so many times the duration of the last rebuild."""


def without_repetitions(others: Sequence[RequestRow], lines: Iterable[RequestRow]) -> list[RequestRow]:
    """The rows of `others` without those that show the same evaluation as one of `lines`.

    After a change of the suite, the aggregated table still has a row of the request whose scores are in Redis.
    """
    models = {row.model for row in others}
    newest = {_evaluated(line): line for line in lines if line.model in models}

    def is_repeated(row: RequestRow) -> bool:
        line = newest.get(_evaluated(row))
        return line is not None and not differ(str(row.values["revision"]), str(line.values["revision"]))

    return [row for row in others if not is_repeated(row)]


def _evaluated(row: RequestRow) -> tuple[str, Value, Value]:
    return row.model, row.values["precision"], row.values["weights"]


class RequestTable:
    """The public requests of one board. Safe to share between threads."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self._lock = threading.Lock()
        self._benchmarks = [benchmark.name for benchmark in context.suite.benchmarks]
        self._lines: dict[str, RequestRow] = {}
        self._rows: RequestRows | None = None
        self._leaderboard: LeaderboardRows | None = None
        self._others: list[RequestRow] = []
        self._others_seen = "-"
        self._building, self._built, self._took = False, 0.0, 0.0
        self._changed = False
        """Whether changes were read that are not in the rows yet."""
        self._seen = b""
        self._vectors = 0
        """The number of lines with an influence vector."""
        self._flags, self._flags_seen = StandingFlags(()), ""

    def rows(self) -> RequestRows:
        """The current rows; the same object while nothing changes.

        A large table is rebuilt in the background now and then, so its rows may be some seconds old.
        """
        with self._lock:
            if self._rows is None or (len(self._lines) < MAX_SYNCHRONOUS_ROWS and not self._building):
                return self._build()
            if not self._building and time.monotonic() - self._built > REST_FACTOR * self._took:
                self._building = True
                threading.Thread(target=self._build_aside, daemon=True).start()
            return self._rows

    def leaderboard(self) -> LeaderboardRows:
        """The current evaluations, without models whose authors opted out; the same object while nothing changes."""
        self.rows()
        assert self._leaderboard is not None
        return self._leaderboard

    def _leaderboard_of(self, rows: RequestRows) -> LeaderboardRows:
        lines = [rows.lines[at] for at in rows.with_scores]
        # A row of an earlier commit is shown as long as its request is.
        others = [row for row in self._others if not row.path or row.path in self._lines]
        lines = [*lines, *without_repetitions(others, lines)]
        lines = [line for line in lines if not self._flags.opted_out(line.model)]
        leaderboard = LeaderboardRows(lines, self._flags, self._benchmarks)
        leaderboard.prepare()
        return leaderboard

    def _build_aside(self) -> None:
        try:
            self._build(before=self._rows)
        except RedisError:  # the next read starts another rebuild, and its other reads of Redis report the error
            log.warning("the table could not be brought up to date", exc_info=True)
        finally:
            self._building = False

    def _build(self, *, before: RequestRows | None = None) -> RequestRows:
        began = time.monotonic()
        self._changed |= self._follow_flags()
        self._changed |= self._follow()
        self._changed |= self._follow_others()
        if self._changed or self._rows is None:
            rows = RequestRows(tuple(self._lines.values()), self._flags, before)
            self._leaderboard = self._leaderboard_of(rows)
            self._rows = rows
            self._changed = False
            self._built = time.monotonic()
            self._took = self._built - began
        return self._rows

    def _follow(self) -> bool:
        """Update the lines from the stream of changes. Return whether any changed."""
        redis, name = self.context.redis, self.context.keys.request_changes
        changes: Any = redis.xrange(name, min=self._seen, count=MAX_CHANGES) if self._seen else []
        if not changes or changes[0][0] != self._seen or len(changes) == MAX_CHANGES:
            return self._read_all()
        paths = {path for _, fields in changes[1:] for path in json.loads(fields[b"paths"])}
        self._reread(sorted(paths), self._lines)
        self._seen = changes[-1][0]
        return bool(paths)

    def _read_all(self) -> bool:
        # Read the place in the stream first: entries that change meanwhile are then read twice, and none is missed.
        newest: Any = self.context.redis.xrevrange(self.context.keys.request_changes, count=1)
        lines: dict[str, RequestRow] = {}
        self._vectors = 0
        paths = self.context.index.paths()
        while chunk := list(islice(paths, CHUNK_SIZE)):
            self._reread(chunk, lines)
        self._lines, self._seen = lines, newest[0][0] if newest else b""
        return True

    def _reread(self, paths: Sequence[str], lines: dict[str, RequestRow]) -> None:
        entries = self.context.index.find(paths)
        existing = [entry for entry in entries if entry is not None]
        scores, licences = scores_of(self.context, existing), licences_of(self.context, existing)
        facts = {path: facts_of(row, self._benchmarks) for path, row in self.context.table_rows.find(scores).items()}
        for path, entry in zip(paths, entries, strict=True):
            row = None
            if entry is not None and not entry.is_private:
                row = row_of(entry, scores.get(path), licences.get(path, ""), facts.get(path, NO_FACTS))
            self._put(lines, path, row)

    def _put(self, lines: dict[str, RequestRow], path: str, row: RequestRow | None) -> None:
        """Replace the row at `path`; None removes it.

        Beyond MAX_PAIRED rows with an influence vector (1.4 kB), it is stored without: vectors are then not compared.
        """
        before = lines.get(path)
        self._vectors -= before is not None and before.influence != ""
        if row is None:
            lines.pop(path, None)
            return
        if self._vectors >= MAX_PAIRED:
            row = replace(row, influence="")
        self._vectors += row.influence != ""
        lines[path] = row

    def _follow_others(self) -> bool:
        version = self.context.table_rows.version()
        if version == self._others_seen:
            return False
        rows = (other_row(at, row, self._benchmarks) for at, row in self.context.table_rows.others().items())
        self._others, self._others_seen = [row for row in rows if row is not None], version
        return True

    def _follow_flags(self) -> bool:
        commit, records = self.context.flag_book.known()
        if commit == self._flags_seen:
            return False
        self._flags, self._flags_seen = StandingFlags(records()), commit
        return True
