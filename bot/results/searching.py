"""Search the requests of a board: queries of `leaderboard.search` over the index.

A query with names searches the list of all models; one without names scans the newest requests. Each search scans at
most MAX_SCANNED requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from bot.core.context import BoardContext
from bot.results.fuzzy_names import FuzzyNameIndex
from leaderboard.flags import StandingFlags
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.result_digests import SHORT_DIGEST
from leaderboard.search import Query, SearchRow, Value, fold, parse
from redis_state.board.entry import IndexEntry
from redis_state.board.scoreboard import EvaluationScores
from redis_state.redis import text

MAX_SCANNED, CHUNK = 5_000, 500


@dataclass(frozen=True)
class SearchHit:
    """A request that matches: its columns, and its average score (0-100) where it is known."""

    entry: IndexEntry
    row: SearchRow
    average: float | None


@dataclass(frozen=True)
class SearchResult:
    """The result of a search: the best hits first, the number of `more` hits, names `near` the query's where there are
    no hits, and whether the scan was cut."""

    query: Query
    hits: tuple[SearchHit, ...] = ()
    more: int = 0
    near: tuple[str, ...] = ()
    is_cut: bool = False


def find(context: BoardContext, query_text: str, *, limit: int) -> SearchResult:
    """Search with the query `query_text`, and return at most `limit` hits."""
    query = parse(query_text)
    if query.misread:
        return SearchResult(query)
    paths = list(islice(_paths(context, query), MAX_SCANNED + 1))
    # All of them at once, as few models are flagged, and only where the query asks for them.
    asks_for_flags = any(term.column.key == "flagged" for term in query.terms)
    flags = StandingFlags(context.flag_book.records() if asks_for_flags else ())
    hits: list[SearchHit] = []
    for start in range(0, min(len(paths), MAX_SCANNED), CHUNK):
        hits += _hits(context, query, paths[start : start + CHUNK], flags)
    hits.sort(key=lambda hit: (-(hit.average if hit.average is not None else -1.0), fold(hit.row.name), hit.entry.path))
    near: tuple[str, ...] = ()
    if query.names and not hits:
        near = tuple(FuzzyNameIndex((name, fold(name)) for name in _names(context)).near(query))
    return SearchResult(query, tuple(hits[:limit]), max(0, len(hits) - limit), near, len(paths) > MAX_SCANNED)


def _paths(context: BoardContext, query: Query) -> Iterator[str]:
    """The requests to scan: those of the named models, by name, else all requests, the newest first."""
    if not query.names:
        yield from (path for _, path in context.index.catalog.newest())
        return
    for member in context.redis.zrange(context.keys.models, 0, -1):
        model, _, path = text(member).partition("\0")
        if any(name in fold(model) for name in query.names):
            yield path


def _names(context: BoardContext) -> Iterator[str]:
    """The models of public requests, among the first MAX_SCANNED requests by name."""
    members = [text(member).partition("\0")[2] for member in context.redis.zrange(context.keys.models, 0, MAX_SCANNED)]
    for start in range(0, len(members), CHUNK):
        entries = context.index.find(members[start : start + CHUNK])
        yield from (_name(entry) for entry in entries if entry is not None and not entry.is_private)


def _hits(context: BoardContext, query: Query, paths: list[str], flags: StandingFlags) -> Iterator[SearchHit]:
    entries = [entry for entry in context.index.find(paths) if entry is not None and not entry.is_private]
    scores, licences = scores_of(context, entries), licences_of(context, entries)
    for entry in entries:
        scored = scores.get(entry.path)
        row = SearchRow(*values_of(entry, scored, licences.get(entry.path, "")))
        if query.finds(_with_flag(entry, row, flags)):
            yield SearchHit(entry, row, scored.average if scored is not None else None)


def _with_flag(entry: IndexEntry, row: SearchRow, flags: StandingFlags) -> SearchRow:
    revision, precision = str(row.values["revision"]), str(row.values["precision"])
    return SearchRow(row.name, {**row.values, "flagged": flags.flagged(row.name, revision, precision, entry.weights)})


def scores_of(context: BoardContext, entries: Sequence[IndexEntry]) -> dict[str, EvaluationScores]:
    """Path → scores, for `entries` with results on the board. One round trip."""
    known = context.scores.find(entry.path for entry in entries)
    return {entry.path: known[entry.path] for entry in entries if entry.path in known and entry.has_results}


def licences_of(context: BoardContext, entries: Iterable[IndexEntry]) -> dict[str, str]:
    """Path → licence, for `entries` that do not hold it themselves. At most one round trip."""
    models = {entry.path: _name(entry) for entry in entries if not (entry.licence or entry.standing.licence)}
    known = context.licences.find(models.values())
    return {path: known[model] for path, model in models.items() if model in known}


def values_of(entry: IndexEntry, scored: EvaluationScores | None, licence: str = "") -> tuple[str, dict[str, Value]]:
    """The model's name and the value of each column, except `flagged`. `licence` counts where the entry has none."""
    path, standing = parse_path(entry.path), entry.standing
    names = path if isinstance(path, RequestPath) else None
    values: dict[str, Value] = {
        "licence": entry.licence or standing.licence or licence,
        "precision": names.precision if names else "",
        "weights": names.weight_type if names else "",
        "organisation": names.org if names else "",
        "category": standing.category,
        "architecture": standing.architecture,
        "status": standing.status,
        "submitter": entry.known_submitter,
        "base": entry.base_model or standing.base_model,
        "revision": _commit(entry, scored),
        "asked": scored.asked[:SHORT_DIGEST] if scored is not None else "",
        "average": scored.average if scored is not None else None,
        "parameters": entry.parameters / 1e9 if entry.parameters else None,
    }
    return _name(entry), values


def _commit(entry: IndexEntry, scored: EvaluationScores | None) -> str:
    """The commit of the scores where there are any, since the request may be for a newer commit; else the request's."""
    if scored is None:
        return entry.commit
    return scored.revision or (entry.kept.revision if entry.kept is not None else "") or entry.commit


def _name(entry: IndexEntry) -> str:
    path = parse_path(entry.path)
    return entry.model or (path.model if isinstance(path, RequestPath) else entry.path)
