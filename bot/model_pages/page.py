"""The scores that a model's own page gets from this board, or why it gets none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from bot.core.context import BoardContext
from bot.model_facts.board_facts import model_of
from hub.errors import TooLarge
from leaderboard.evaluations import measure
from leaderboard.model_pages import PageScore, best_precision, page_scores
from leaderboard.predictions import PREDICTIONS
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.results import MAX_BYTES
from redis_state.board.entry import IndexEntry

NoScoresReason = Literal["", "no-scores", "flagged", "unreadable"]
"""Why a page gets no scores. `unreadable`: there are some, but not of the board's present suite."""


@dataclass(frozen=True)
class ModelPage:
    """The scores for one model's page; none for the reason `why`."""

    model: str
    scores: tuple[PageScore, ...] = ()
    why: NoScoresReason = ""


def read_page(context: BoardContext, model: str) -> ModelPage:
    """The scores of the model's newest evaluation at its best precision. At most one call, for the results file."""
    entries = [entry for entry in context.index.of_model(model) if _counts(entry)]
    if not entries:
        return ModelPage(model, why="no-scores")
    name = model_of(entries[0])
    shown = [entry for entry in entries if not _is_flagged(context, entry)]
    if not shown:
        return ModelPage(name, why="flagged")
    path = _newest_results(context, _best(shown))
    scores = _read_scores(context, path) if path else []
    return ModelPage(name, tuple(scores)) if scores else ModelPage(name, why="unreadable")


def _counts(entry: IndexEntry) -> bool:
    """Whether `entry` has public results of a model, and not of predictions with the same name."""
    return entry.has_results and not entry.is_private and entry.precision != PREDICTIONS


def _is_flagged(context: BoardContext, entry: IndexEntry) -> bool:
    models = [model_of(entry)]
    scoped = context.flag_book.scoped(models, entry.commit, entry.precision)
    return bool(scoped or context.flags(models, entry.weights))


def _best(entries: list[IndexEntry]) -> list[IndexEntry]:
    """The entries of the model's own weights, if there are some, at the best precision."""
    own = [entry for entry in entries if _weight_type(entry) == "Original"] or entries
    precision = best_precision(entry.precision for entry in own)
    return [entry for entry in own if entry.precision == precision]


def _weight_type(entry: IndexEntry) -> str:
    path = parse_path(entry.path)
    return path.weight_type if isinstance(path, RequestPath) else ""


def _newest_results(context: BoardContext, entries: Iterable[IndexEntry]) -> str:
    """The path of the newest results file of `entries`; "" if none is known."""
    by_path = {entry.path: entry for entry in entries}
    known = context.scores.find(by_path)
    paths = []
    for path, entry in by_path.items():
        kept = entry.kept.results if entry.kept is not None else None
        paths.append(entry.standing.results or kept or (known[path].results if path in known else ""))
    return max(paths, key=lambda path: path.rpartition("/")[2])


def _read_scores(context: BoardContext, path: str) -> list[PageScore]:
    try:
        file = context.hub.find_file(context.results, path, max_bytes=MAX_BYTES)
    except TooLarge:
        return []
    measured = measure(path, file.data, context.suite) if file is not None else None
    if measured is None:
        return []
    source = context.address(context.results, path)
    return page_scores(context.board.model_pages, context.suite, measured, title=context.board.title, source=source)
