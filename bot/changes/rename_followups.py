"""Follow up a rename of a model's files: stage updates of Steward's facts in its request and results files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from bot.core.context import BoardContext, request_key
from bot.ledger.edits import FieldEdit
from hub.records import Repo
from leaderboard.jsontext import object_in
from leaderboard.rename_comparison import missing_facts
from leaderboard.rename_contents import moved_results, request_place, result_place
from leaderboard.renames import RenamePlan
from leaderboard.request_paths import RequestPath, is_request_path, parse_path
from leaderboard.steward_facts import ours_in


def follow_up(context: BoardContext, rename: RenamePlan, contents: Mapping[str, bytes]) -> None:
    """Stage the updates that follow from `rename`, made in full or in part; `contents`: the present files, by path."""
    landed = [file for file in rename.files if file.place in contents]
    repo = context.requests if rename.kind == "requests" else context.results
    for path, missing in missing_facts(rename, contents).items():
        _stage(context, repo, path, missing.facts, f"Name {rename.new}", missing.guard, missing.fields)
    if rename.kind == "results":
        point_requests_at_results(context, rename.old, rename.new, [file.path for file in rename.files if file.moves])
        return
    name_details(context, rename.old, rename.new, [file.place for file in landed if file.moves])


def name_details(context: BoardContext, old: str, new: str, paths: Sequence[str]) -> None:
    """Stage the name of the details repo, which is still named after `old`, in those requests of `new` at `paths` that
    have results. One call for each request of `new`."""
    details = {"details": context.board.repos.details(old)}
    for path in paths:
        parsed = parse_path(path)
        if not isinstance(parsed, RequestPath) or parsed.model != new:
            continue
        file = context.hub.find_file(context.requests, path, max_bytes=context.board.max_request_bytes)
        ours = ours_in((object_in(file.data) if file is not None else None) or {})
        if ours.get("results") and not ours.get("details"):
            _stage(context, context.requests, path, details, f"Name {new}", {})


def point_requests_at_results(context: BoardContext, old: str, new: str, moved: Sequence[str]) -> None:
    """Stage the new paths of results in the model's requests, which may have the old or the new name.

    `moved` are the former paths of results. Up to two calls for each request of the model.
    """
    places = {path: result_place(old, new, path) for path in moved}
    known = [entry.path for model in (new, old) for entry in context.index.of_model(model)]
    for request_path in dict.fromkeys([*known, *(request_place(old, new, path) for path in known)]):
        file = context.hub.find_file(context.requests, request_path, max_bytes=context.board.max_request_bytes)
        ours = ours_in((object_in(file.data) if file is not None else None) or {})
        facts = moved_results(ours, lambda path: places.get(path, path))
        if facts:
            guard: dict[str, tuple[object, ...]] = {f"steward.{name}": (ours[name],) for name in facts}
            _stage(context, context.requests, request_path, facts, f"Name {new}", guard)


def _stage(
    context: BoardContext,
    repo: Repo,
    path: str,
    facts: Mapping[str, object],
    line: str,
    guard: Mapping[str, tuple[object, ...]],
    fields: Mapping[str, object] | None = None,
) -> None:
    content = f"{path} {sorted(facts.items())}{sorted(fields.items()) if fields else ''}"
    digest = hashlib.sha256(content.encode(errors="surrogateescape")).hexdigest()[:16]
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
