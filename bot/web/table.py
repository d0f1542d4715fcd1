"""Every public request of a board in this process's memory, to be searched and sorted in milliseconds.

It is read from Redis as a whole once, and then follows the stream of changes that the index writes with every entry
(`Keys.request_changes`). Whoever finds that the entry it read last is no longer in the stream (it is from before an
amnesia, or too far behind) reads everything again. A term of a query is asked once for each different value, not for
each row, and names are looked for in all of them at once.

Race accepted: scores are noted a moment before the index tells of the request's end; whoever reads in between sees them
at the next change.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice
from typing import Any

from bot.desk import Desk
from bot.index import Entry
from bot.scoreboard import Scored
from bot.searching import values_of
from bot.web import shown
from leaderboard.categories import Category
from leaderboard.flags import FlagRecord
from leaderboard.search import Query, Value, fold

CHUNK, BEHIND = 2_000, 1_000
"""Entries that are read at a time; changes after which everything is read again."""
SORTS = ("average", "model", "parameters", "time")


@dataclass(frozen=True)
class Line:
    """One request: what its row shows and what it is found by. `benchmarks` are normalised scores by name."""

    path: str
    model: str
    folded: str
    state: str
    time: float
    values: dict[str, Value]
    weights: str = ""
    benchmarks: dict[str, float] = field(default_factory=dict)

    @property
    def average(self) -> float | None:
        """The mean of its scores, where it was evaluated."""
        found = self.values["average"]
        return found if isinstance(found, float) else None


class Table:
    """The public requests of one board. Safe to share between threads."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._lock = threading.Lock()
        self._lines: dict[str, Line] = {}
        self._rows: Rows | None = None
        self._seen, self._flags = b"", ""
        self._flagged: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())

    def rows(self) -> Rows:
        """The rows as they are now; the same object as long as nothing changes."""
        with self._lock:
            changed = self._follow_flags()
            if self._follow() or changed or self._rows is None:
                self._rows = Rows(tuple(self._lines.values()), self._flagged)
            return self._rows

    def _follow(self) -> bool:
        """Bring the lines in step with the index; whether any changed."""
        redis, name = self.desk.redis, self.desk.keys.request_changes
        found: Any = redis.xrange(name, min=self._seen, count=BEHIND) if self._seen else []
        if not found or found[0][0] != self._seen or len(found) == BEHIND:
            return self._read_all()
        paths = {path for _, fields in found[1:] for path in json.loads(fields[b"paths"])}
        self._seen = found[-1][0]
        return self._reread(sorted(paths))

    def _read_all(self) -> bool:
        # The place in the stream first: what changes while everything is read is then read twice, and not missed.
        newest: Any = self.desk.redis.xrevrange(self.desk.keys.request_changes, count=1)
        self._lines = {}
        paths = self.desk.index.paths()
        while chunk := list(islice(paths, CHUNK)):
            self._reread(chunk)
        self._seen = newest[0][0] if newest else b""
        return True

    def _reread(self, paths: Sequence[str]) -> bool:
        scores = self.desk.scores.find(paths)
        for path, entry in zip(paths, self.desk.index.find(paths), strict=True):
            if entry is None or shown.hidden(entry):
                self._lines.pop(path, None)
            else:
                self._lines[path] = line_of(entry, scores.get(path))
        return bool(paths)

    def _follow_flags(self) -> bool:
        commit, records = self.desk.flag_book.known()
        if commit == self._flags:
            return False
        self._flags, self._flagged = commit, hidden_by(records())
        return True


def hidden_by(records: Iterable[FlagRecord]) -> tuple[frozenset[str], frozenset[str]]:
    """The names, in lower case, and the digests of weights whose rows are hidden as flagged."""
    whole = [one for one in records if one.stands and one.kind.hides and one.scope.is_whole]
    names = frozenset(name.casefold() for one in whole for name in one.names)
    return names, frozenset(one.weights for one in whole if one.weights)


def line_of(entry: Entry, scored: Scored | None) -> Line:
    """The line of one request that everybody may know of."""
    name, values = values_of(entry, scored)
    told = shown.state_of(entry)
    benchmarks = scored.benchmarks if scored is not None else {}
    return Line(entry.path, name, fold(name), told, entry.time, values, entry.weights, benchmarks)


class Rows:
    """The rows of one moment, numbered."""

    def __init__(self, lines: tuple[Line, ...], flagged: tuple[frozenset[str], frozenset[str]]) -> None:
        self.lines = lines
        names, weights = flagged
        self.flagged = frozenset(
            at
            for at, line in enumerate(lines)
            if (names and line.model.casefold() in names) or (weights and line.weights in weights)
        )
        self._text = "\n".join(line.folded for line in lines)
        self._starts = list(accumulate((len(line.folded) + 1 for line in lines), initial=0))
        self._orders: dict[str, list[int]] = {}
        self._states: dict[str, list[int]] = {}
        self._by_path: dict[str, int] = {}
        for at, line in enumerate(lines):
            self._states.setdefault(line.state, []).append(at)
        self._with_scores = [at for at, line in enumerate(lines) if line.average is not None]

    def count(self, state: str) -> int:
        """How many requests are in `state`."""
        return len(self._states.get(state, ()))

    def at(self, path: str) -> int | None:
        """The number of the request at `path`."""
        if not self._by_path:
            self._by_path = {line.path: at for at, line in enumerate(self.lines)}
        return self._by_path.get(path)

    def evaluated_as(self, category: str, precision: str) -> list[int]:
        """The numbers of those that have scores, of one category and at one precision; "" stands for any."""
        found = self._with_scores
        if category:
            found = [at for at in found if category_of(self.lines[at]) == category]
        if precision:
            found = [at for at in found if self.lines[at].values["precision"] == precision]
        return found

    def of_state(self, state: str) -> list[int]:
        """The numbers of those in `state`; all of them for ""."""
        return self._states.get(state, []) if state else list(range(len(self.lines)))

    def find(self, query: Query, among: Sequence[int]) -> list[int]:
        """Those of `among` that the query means, as `Query.finds` would say it of each."""
        if query.misread:
            return []
        if query.names:
            named = self._named(query.names)
            among = [at for at in among if at in named]
        for term in query.terms:
            known: dict[Value, bool] = {}
            found: list[int] = []
            key = term.column.key
            for at in among:
                value = (at in self.flagged) if key == "flagged" else self.lines[at].values.get(key)
                fits = known.get(value)
                if fits is None:
                    fits = known[value] = term.fits(value)
                if fits:
                    found.append(at)
            among = found
        return list(among)

    def _named(self, names: Iterable[str]) -> set[int]:
        """The rows whose name holds one of `names`: each is looked for in all names at once."""
        found: set[int] = set()
        for name in names:
            at = self._text.find(name)
            while at >= 0:
                row = bisect_right(self._starts, at) - 1
                found.add(row)
                at = self._text.find(name, self._starts[row + 1])
        return found

    def in_order(self, found: Iterable[int], sort: str, *, rising: bool) -> list[int]:
        """`found` by one of SORTS or by a benchmark; those without a value last, equal ones by name."""
        kept = set(found)
        order = [at for at in self._order(sort) if at in kept]
        if not rising:
            known = [at for at in order if self._key(sort, at) is not None]
            return known[::-1] + order[len(known) :]
        return order

    def _order(self, sort: str) -> list[int]:
        if sort not in self._orders:
            keys = [self._key(sort, at) for at in range(len(self.lines))]
            known = [at for at, key in enumerate(keys) if key is not None]
            known.sort(key=keys.__getitem__)  # type: ignore[arg-type]  # all words, or all numbers
            self._orders[sort] = known + [at for at, key in enumerate(keys) if key is None]
        return self._orders[sort]

    def _key(self, sort: str, at: int) -> float | str | None:
        line = self.lines[at]
        match sort:
            case "model":
                return line.folded
            case "time":
                return line.time
            case "average" | "parameters":
                found = line.values[sort]
                return found if isinstance(found, float) else None
            case _:
                return line.benchmarks.get(sort)

    def names(self) -> list[str]:
        """The name of every model, for those who ask what is like theirs."""
        return [line.model for line in self.lines]


def category_of(line: Line) -> Category:
    """What kind of model it says it is."""
    said = line.values["category"]
    return Category(said) if said in set(Category) else Category.UNKNOWN
