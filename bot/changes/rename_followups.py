"""What follows once a model's files have their new names: our own facts are mended, and the requests looked at."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from bot.core.context import BoardContext, request_key
from bot.ledger.edits import FieldEdit
from hub.records import Repo
from leaderboard.renames import RenamePlan, missing_facts, request_place, result_place
from leaderboard.requests import is_request_path
from redis_state.dirty import SyncPriority


def follow_up(context: BoardContext, it: RenamePlan, contents: Mapping[str, bytes]) -> None:
    """`it` was done, as a whole or in part; `contents` are the files as they are now, by path."""
    done = [one for one in it.files if one.place in contents]
    repo = context.requests if it.kind == "requests" else context.results
    for path, left in missing_facts(it, contents).items():
        _stage(context, repo, path, left.facts, f"Name {it.new}", left.guard, left.fields)
    if it.kind == "results":
        point_requests_at_results(context, it.old, it.new, [one.path for one in it.files if one.moves])
        return
    context.index.put_origins((one.place, context.index.origin(one.path)) for one in done if one.moves)
    paths = {path for one in done for path in (one.path, one.place) if is_request_path(path)}
    context.mark_all(map(request_key, sorted(paths)), SyncPriority.EVENT)


def point_requests_at_results(context: BoardContext, old: str, new: str, moved: Sequence[str]) -> None:
    """Have the requests say where their results lie now, under whichever of both names they lie themselves.

    `moved` are the paths at which results were. Up to two calls for each request of the model.
    """
    known = [entry.path for model in (new, old) for entry in context.index.of_model(model)]
    for where in dict.fromkeys([*known, *(request_place(old, new, path) for path in known)]):
        file = context.hub.find_file(context.requests, where, max_bytes=context.board.max_request_bytes)
        for path in moved if file is not None else ():
            if path.encode() in (file.data if file is not None else b""):
                guard: dict[str, tuple[object, ...]] = {"steward.results": (path,)}
                facts = {"results": result_place(old, new, path)}
                _stage(context, context.requests, where, facts, f"Name {new}", guard)


def _stage(
    context: BoardContext,
    repo: Repo,
    path: str,
    facts: Mapping[str, object],
    line: str,
    guard: Mapping[str, tuple[object, ...]],
    fields: Mapping[str, object] | None = None,
) -> None:
    said = f"{path} {sorted(facts.items())}{sorted(fields.items()) if fields else ''}"
    digest = hashlib.sha256(said.encode(errors="surrogateescape")).hexdigest()[:16]
    edit = FieldEdit(
        id=f"mend {digest}",
        path=path,
        line=line,
        fields=dict(fields or {}),
        facts=dict(facts),
        guard=dict(guard),
        wake=(request_key(path),) if is_request_path(path) else (),
    )
    context.effects.stage(repo, edit)
