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


def follow_up(desk: BoardContext, it: RenamePlan, contents: Mapping[str, bytes]) -> None:
    """`it` was done, as a whole or in part; `contents` are the files as they are now, by path."""
    done = [one for one in it.files if one.place in contents]
    repo = desk.requests if it.kind == "requests" else desk.results
    for path, facts in missing_facts(it, contents).items():
        _stage(desk, repo, path, facts, f"Name {it.new}")
    if it.kind == "results":
        point_requests_at_results(desk, it.old, it.new, [one.path for one in it.files if one.moves])
        return
    desk.index.put_origins((one.place, desk.index.origin(one.path)) for one in done if one.moves)
    paths = {path for one in done for path in (one.path, one.place) if is_request_path(path)}
    desk.mark_all(map(request_key, sorted(paths)), SyncPriority.EVENT)


def point_requests_at_results(desk: BoardContext, old: str, new: str, moved: Sequence[str]) -> None:
    """Have the requests say where their results lie now, under whichever of both names they lie themselves.

    `moved` are the paths at which results were. Up to two calls for each request of the model.
    """
    known = [entry.path for model in (new, old) for entry in desk.index.of_model(model)]
    for where in dict.fromkeys([*known, *(request_place(old, new, path) for path in known)]):
        file = desk.hub.find_file(desk.requests, where, max_bytes=desk.board.max_request_bytes)
        for path in moved if file is not None else ():
            if path.encode() in (file.data if file is not None else b""):
                guard: dict[str, tuple[object, ...]] = {"steward.results": (path,)}
                facts = {"results": result_place(old, new, path)}
                _stage(desk, desk.requests, where, facts, f"Name {new}", guard)


def _stage(
    desk: BoardContext,
    repo: Repo,
    path: str,
    facts: Mapping[str, object],
    line: str,
    guard: dict[str, tuple[object, ...]] | None = None,
) -> None:
    digest = hashlib.sha256(f"{path} {sorted(facts.items())}".encode(errors="surrogateescape")).hexdigest()[:16]
    wake = (request_key(path),) if is_request_path(path) else ()
    edit = FieldEdit(id=f"mend {digest}", path=path, line=line, facts=dict(facts), guard=guard or {}, wake=wake)
    desk.effects.stage(repo, edit)
