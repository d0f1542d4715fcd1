"""Search among the requests of a board: the language of `leaderboard.search` over what the index knows of them.

Names are looked for in the list of all models; where none is asked for, the newest requests are looked at. LOOKED_AT
requests are looked at, at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from bot.core.context import BoardContext
from bot.results.fuzzy_names import FuzzyNameIndex
from leaderboard.requests import RequestPath, parse_path
from leaderboard.search import Query, SearchRow, Value, fold, parse
from redis_state.board.entry import IndexEntry
from redis_state.board.scoreboard import EvaluationScores
from redis_state.redis import text

LOOKED_AT, CHUNK = 5_000, 500


@dataclass(frozen=True)
class SearchHit:
    """A request that was found: what it was found by, and its average score (0-100) where that is known."""

    entry: IndexEntry
    row: SearchRow
    average: float | None


@dataclass(frozen=True)
class SearchResult:
    """What a search came to: the best hits first, how many there are beside them, names that are like the query's
    where there are none, and whether there were more requests than are looked at."""

    query: Query
    hits: tuple[SearchHit, ...] = ()
    more: int = 0
    near: tuple[str, ...] = ()
    is_cut: bool = False


def find(context: BoardContext, words: str, *, most: int) -> SearchResult:
    """What `words` find, `most` of it."""
    query = parse(words)
    if query.misread:
        return SearchResult(query)
    paths = list(islice(_paths(context, query), LOOKED_AT + 1))
    hits: list[SearchHit] = []
    for start in range(0, min(len(paths), LOOKED_AT), CHUNK):
        hits += _hits(context, query, paths[start : start + CHUNK])
    hits.sort(key=lambda hit: (-(hit.average if hit.average is not None else -1.0), fold(hit.row.name), hit.entry.path))
    near = (
        ()
        if hits or not query.names
        else tuple(FuzzyNameIndex((name, fold(name)) for name in _names(context)).near(query))
    )
    return SearchResult(query, tuple(hits[:most]), max(0, len(hits) - most), near, len(paths) > LOOKED_AT)


def _paths(context: BoardContext, query: Query) -> Iterator[str]:
    """The requests to be looked at: those of models that are named, by name, else all of them, the newest first."""
    if not query.names:
        yield from (path for _, path in context.index.catalog.newest())
        return
    for member in context.redis.zrange(context.keys.models, 0, -1):
        model, _, path = text(member).partition("\0")
        if any(name in fold(model) for name in query.names):
            yield path


def _names(context: BoardContext) -> Iterator[str]:
    """The models of which anybody may know."""
    members = [text(member).partition("\0")[2] for member in context.redis.zrange(context.keys.models, 0, LOOKED_AT)]
    for start in range(0, len(members), CHUNK):
        entries = context.index.find(members[start : start + CHUNK])
        yield from (_name(entry) for entry in entries if entry is not None and not entry.is_private)


def _hits(context: BoardContext, query: Query, paths: list[str]) -> Iterator[SearchHit]:
    entries = [entry for entry in context.index.find(paths) if entry is not None and not entry.is_private]
    scores, licences = scores_of(context, entries), licences_of(context, entries)
    others = replace(query, terms=tuple(term for term in query.terms if term.column.key != "flagged"))
    asks_for_flags = others != query
    for entry in entries:
        scored = scores.get(entry.path)
        row = SearchRow(*values_of(entry, scored, licences.get(entry.path, "")))
        # Flags are asked of Redis one by one, so only where they decide.
        if others.finds(row) and (not asks_for_flags or query.finds(_with_flag(context, entry, row))):
            yield SearchHit(entry, row, scored.average if scored is not None else None)


def _with_flag(context: BoardContext, entry: IndexEntry, row: SearchRow) -> SearchRow:
    return SearchRow(row.name, {**row.values, "flagged": bool(context.flags([row.name], entry.weights))})


def scores_of(context: BoardContext, entries: Sequence[IndexEntry]) -> dict[str, EvaluationScores]:
    """Path → scores, of those of `entries` that have results on the board. One round trip."""
    known = context.scores.find(entry.path for entry in entries)
    return {entry.path: known[entry.path] for entry in entries if entry.path in known and entry.has_results}


def licences_of(context: BoardContext, entries: Iterable[IndexEntry]) -> dict[str, str]:
    """Path → licence, for those of `entries` that do not know it themselves. At most one round trip."""
    models = {entry.path: _name(entry) for entry in entries if not (entry.licence or entry.standing.licence)}
    known = context.licences.find(models.values())
    return {path: known[model] for path, model in models.items() if model in known}


def values_of(entry: IndexEntry, scored: EvaluationScores | None, licence: str = "") -> tuple[str, dict[str, Value]]:
    """Its name, and what each column has of it; all but whether it is flagged. `licence`: where the entry has none."""
    where, seen = parse_path(entry.path), entry.standing
    names = where if isinstance(where, RequestPath) else None
    values: dict[str, Value] = {
        "licence": entry.licence or seen.licence or licence,
        "precision": names.precision if names else "",
        "weights": names.weight_type if names else "",
        "organisation": names.org if names else "",
        "category": seen.category,
        "architecture": seen.architecture,
        "status": seen.status,
        "submitter": entry.whose,
        "base": entry.base_model or seen.base_model,
        "revision": _commit(entry, scored),
        "average": scored.average if scored is not None else None,
        "parameters": entry.parameters / 1e9 if entry.parameters else None,
    }
    return _name(entry), values


def _commit(entry: IndexEntry, scored: EvaluationScores | None) -> str:
    """Of what has scores the commit that they are of: a newer one may wait, or have failed."""
    if scored is None:
        return entry.commit
    return scored.revision or (entry.kept.revision if entry.kept is not None else "") or entry.commit


def _name(entry: IndexEntry) -> str:
    where = parse_path(entry.path)
    return entry.model or (where.model if isinstance(where, RequestPath) else entry.path)
