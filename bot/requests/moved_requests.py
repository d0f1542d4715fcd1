"""Requests that a commit moves to another model's name: the index entry, the thread and the scores move with them, and
the former name leads to the new one.

Without this, the renamed model would be missing from the results until its scores are read from the Hub again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bot.core.context import BoardContext
from leaderboard.rename_contents import is_moved_request, result_place
from leaderboard.request_paths import is_request_path
from redis_state.board.entry import IndexEntry

if TYPE_CHECKING:
    from bot.core.mirrors.git_trees import GitDifference
    from bot.core.mirrors.mirror import MirrorView


def moved_requests(
    context: BoardContext, view: MirrorView, differences: Iterable[GitDifference]
) -> dict[str, IndexEntry]:
    """New path → entry at the former path, for each request that moved and whose former entry is in the index."""
    requests = [change for change in differences if is_request_path(change.path)]
    gone: dict[str, list[GitDifference]] = {}
    for change in requests:
        if change.now is None:
            gone.setdefault(_kind(change.path), []).append(change)
    moved: dict[str, str] = {}
    for change in requests if gone else ():
        if change.was is None and change.now is not None:
            after = _read(context, view, change.now)
            for former in gone.get(_kind(change.path), ()):
                if is_moved_request(former.path, _read(context, view, former.was), change.path, after):
                    moved[change.path] = former.path
    entries = zip(moved, context.index.find(list(moved.values())), strict=True)
    return {path: entry for path, entry in entries if entry is not None}


def _kind(path: str) -> str:
    """The part of a path after the model's name, which a rename does not change."""
    return path.rpartition("_eval_request_")[2]


def _read(context: BoardContext, view: MirrorView, oid: str | None) -> bytes:
    return (oid and view.blob(oid, max_bytes=context.board.max_request_bytes)) or b""


def take_over(context: BoardContext, former: IndexEntry, entry: IndexEntry) -> IndexEntry:
    """`entry` with the facts in the index about the model under its former name; also copy its origin and scores."""
    context.index.put_origins([(entry.path, context.index.origin(former.path))])
    context.index.put_renamed(former.model, entry.model)
    if (scored := context.scores.find([former.path]).get(former.path)) is not None:
        results = result_place(former.model, entry.model, scored.results)
        context.scores.put(scored.model_copy(update={"path": entry.path, "model": entry.model, "results": results}))
        context.index.tell([entry.path])  # also if the entry itself stays as it is
    details = former.standing.details or context.board.repos.details(former.model)  # redirected if it moves, too
    place = former if entry.thread is None else entry
    return entry.changed(
        thread=place.thread,
        comment=place.comment,
        closed=place.closed,
        standing=entry.standing.with_details(details) if entry.standing.results else entry.standing,
        submitter=former.submitter,
        submitter_id=former.submitter_id,
        submitted=former.submitted,
        base_model=former.base_model,
        base_sha=former.base_sha,
        parameters=former.parameters,
        nbytes=former.nbytes,
        weights=entry.weights or former.weights,
        licence=former.licence or context.licences.find([former.model]).get(former.model, ""),
    )
