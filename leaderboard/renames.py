"""Plans the rename of a model on the board, and compares a pull request with the plan.

The plan follows from the present files, never from a proposal. The comparison parses JSON, because tools that write
such pull requests format it in various ways; no other difference is allowed.

    requests   {old}_eval_request_*.json -> {new}_eval_request_*.json, `model`; `base_model` of other models' requests
    results    {old}/results_*.json -> {new}/results_*.json; `config_general.model_name` (v1), `config.model_args`,
               `config.model_name`, `model_name` and `model_name_sanitized` (v2), and the `model` and `request` of the
               `steward` block

Other files in a results folder move unchanged. Other tools know neither the `steward` block nor `config.model_name`:
unchanged values there are accepted and corrected afterwards.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from leaderboard.changes import REGULAR, FileChange
from leaderboard.jsontext import JsonObject, edit, is_same, object_in
from leaderboard.reasons import Problem, Reason, table
from leaderboard.requests import OURS, RequestPath, is_model, parse_path

Kind = Literal["requests", "results"]
ComparisonOutcome = Literal["exact", "partial", "wrong"]
MAX_FILES = 2_000
"""Files that one rename may change; a maintainer decides about larger renames."""
_NAME = "model_name"

REASONS = table(
    (
        Reason("same-name", "The old and the new name are the same.", "Name the model as it is called now."),
        Reason("no-name", "'{name}' cannot be a model id on the Hub.", "Copy the model's id from its page."),
        Reason("nothing-to-rename", "This repo has no files of {old}.", "Check the old name for typing errors."),
        Reason("taken", "{path} exists already and belongs to another model.", "Choose another name."),
        Reason(
            "unreadable",
            "{path} is no JSON object, so the name in it cannot be changed safely.",
            "Ask a maintainer to check the file.",
        ),
        Reason("two-models", "It renames more than one model: {names}.", "Open a pull request for each."),
        Reason("not-planned", "{path} is not part of renaming {old} to {new}.", "Leave this file unchanged."),
        Reason("not-moved", "{path} belongs to {old} and is not moved.", "Move it to {place}."),
        Reason("lost", "{path} is removed, but {place} is missing.", "Move the file instead of removing it."),
        Reason(
            "content",
            "{path} does not match the rename: {fields}.",
            "Change the model's name in it, and nothing else.",
        ),
        Reason("mode", "{path} is no plain file any more.", "Keep it a plain file."),
        Reason("too-many", "It changes more than {most} files.", "Ask a maintainer to do it."),
        Reason("too-much", "It is too large to be checked automatically: {what}.", "Ask a maintainer to do it."),
    )
)


@dataclass(frozen=True)
class FilePlan:
    """The planned change of one file: `path` moves to `place` (equal if it only changes) with the contents `data`.

    `was` is the contents from which it was planned.
    """

    path: str
    place: str
    was: bytes
    data: bytes

    @property
    def moves(self) -> bool:
        """Whether the file moves."""
        return self.path != self.place


@dataclass(frozen=True)
class RenamePlan:
    """The rename of `old` to `new` in one repo; `problems` say why it is impossible."""

    kind: Kind
    old: str
    new: str
    files: tuple[FilePlan, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def digest(self) -> str:
        """The digest of the plan, to which an approval is bound."""
        files = [(file.path, file.place, hashlib.sha256(file.was).hexdigest()) for file in self.files]
        return hashlib.sha256(json.dumps([self.kind, self.old, self.new, sorted(files)]).encode()).hexdigest()


def plan(kind: Kind, old: str, new: str, files: Mapping[str, bytes], taken: Iterable[str] = ()) -> RenamePlan:
    """Plan the rename of `old` to `new` in `files`, which may mention `old`; `taken` holds other paths of the repo."""
    problems = [REASONS["no-name"].problem(name=name[:100]) for name in (old, new) if not is_model(name)]
    if old == new:
        problems.append(REASONS["same-name"].problem())
    if problems:
        return RenamePlan(kind, old, new, problems=tuple(problems))
    planned, present = [], {*files, *taken}
    for path, data in sorted(files.items()):
        change = _file(kind, old, new, path, data)
        if isinstance(change, Problem):
            problems.append(change)
        elif change is not None:
            planned.append(change)
    leaving = {file.path for file in planned if file.moves}
    problems += [
        REASONS["taken"].problem(path=file.place) for file in planned if file.moves and file.place in present - leaving
    ]
    if not any(file.moves for file in planned):
        problems.append(REASONS["nothing-to-rename"].problem(old=old))
    if len(planned) > MAX_FILES:
        problems.append(REASONS["too-many"].problem(most=f"{MAX_FILES:,}"))
    return RenamePlan(kind, old, new, tuple(planned), tuple(problems))


def _file(kind: Kind, old: str, new: str, path: str, data: bytes) -> FilePlan | Problem | None:
    """Plan the change of one file; None if it does not mention `old`."""
    place = request_place(old, new, path) if kind == "requests" else result_place(old, new, path)
    if kind == "results" and place == path:
        return None
    fields = object_in(data)
    if fields is None:
        if place == path:
            return None
        # A folder of results may contain pictures and tables; a request must be an object.
        is_opaque = kind == "results" and not path.endswith(".json")
        return FilePlan(path, place, data, data) if is_opaque else REASONS["unreadable"].problem(path=path)
    changed = _request(old, new, fields) if kind == "requests" else _result(old, new, fields)
    if place == path and changed == fields:
        return None
    return FilePlan(path, place, data, data if changed == fields else _new_contents(data, fields, changed))


def request_place(old: str, new: str, path: str) -> str:
    """Return the new path of the request file at `path`; `path` itself if it belongs to another model."""
    where = parse_path(path)
    if not isinstance(where, RequestPath) or where.model != old:
        return path
    return f"{new}{path.removeprefix(old)}"


def is_moved_request(old_path: str, before: bytes, new_path: str, after: bytes) -> bool:
    """Whether the request file at `new_path` is that of `old_path` under another model's name, and nothing else.

    Tools may leave Steward's facts about places unchanged.
    """
    old, new, fields, present = parse_path(old_path), parse_path(new_path), object_in(before), object_in(after)
    if not isinstance(old, RequestPath) or not isinstance(new, RequestPath) or fields is None or present is None:
        return False
    if old.model == new.model or request_place(old.model, new.model, old_path) != new_path:
        return False
    return is_same(_without_places(_request(old.model, new.model, fields)), _without_places(present))


def _without_places(fields: JsonObject) -> JsonObject:
    ours = fields.get(OURS)
    if not isinstance(ours, dict):
        return fields
    places = ("results", "kept", "details", "rescored_from")
    return {**fields, OURS: {key: value for key, value in ours.items() if key not in places}}


def result_place(old: str, new: str, path: str) -> str:
    """Return the new path of a results file of `old`; `path` itself if it belongs to another model."""
    return f"{new}/{path.removeprefix(f'{old}/')}" if path.startswith(f"{old}/") else path


def moved_results(ours: JsonObject, place: Callable[[str], str]) -> JsonObject:
    """Return the members of a request's `steward` object that name results which move, with their new paths.

    Those are its own results, and the earlier ones that stay valid during a newer evaluation. `place` returns the path
    of results after the move.
    """
    path, kept = ours.get("results"), ours.get("kept")
    moved: JsonObject = {"results": place(path)} if isinstance(path, str) else {}
    if isinstance(kept, dict) and isinstance(kept.get("results"), str):
        moved["kept"] = {**kept, "results": place(kept["results"])}
    return {name: value for name, value in moved.items() if value != ours[name]}


def _request(old: str, new: str, fields: JsonObject) -> JsonObject:
    return {key: new if key in ("model", "base_model") and value == old else value for key, value in fields.items()}


def _result(old: str, new: str, fields: JsonObject) -> JsonObject:
    changed = dict(fields)
    if fields.get("model_name") == old:
        changed["model_name"] = new
    if fields.get("model_name_sanitized") == sanitised(old):
        changed["model_name_sanitized"] = sanitised(new)
    _within(changed, "config_general", lambda inner: _replaced(inner, "model_name", old, new))
    _within(changed, "config", lambda inner: _arguments(_replaced(inner, "model_name", old, new), old, new))
    _within(changed, OURS, lambda inner: _steward_block(inner, old, new))
    return changed


def _within(fields: JsonObject, name: str, change: Any) -> None:
    inner = fields.get(name)
    if isinstance(inner, dict):
        fields[name] = change(dict(inner))


def _replaced(inner: JsonObject, name: str, old: str, new: str) -> JsonObject:
    return {**inner, name: new} if inner.get(name) == old else inner


def _arguments(inner: JsonObject, old: str, new: str) -> JsonObject:
    """Change `model_args` as the harness writes it: `pretrained=org/model,dtype=…`, or an object."""
    arguments = inner.get("model_args")
    if isinstance(arguments, str):
        parts = [f"pretrained={new}" if part == f"pretrained={old}" else part for part in arguments.split(",")]
        return {**inner, "model_args": ",".join(parts)}
    if isinstance(arguments, dict):
        return {**inner, "model_args": _replaced(arguments, "pretrained", old, new)}
    return inner


def _steward_block(inner: JsonObject, old: str, new: str) -> JsonObject:
    inner = _replaced(inner, "model", old, new)
    path = inner.get("request")
    return {**inner, "request": request_place(old, new, path)} if isinstance(path, str) else inner


def sanitised(model: str) -> str:
    """Return a model's name as the harness writes it in file names."""
    return re.sub(r"[\"<>:/\\|?*\[\]]+", "__", model)


def _new_contents(data: bytes, before: JsonObject, after: JsonObject) -> bytes:
    """Return the new contents, with the file's own text except for the changed values."""
    changes = {key: value for key, value in after.items() if before.get(key) != value}
    return edit(data.decode("utf-8"), changes).encode()


@dataclass(frozen=True)
class RenameComparison:
    """The comparison of a pull request with the plan: exact, partial or wrong."""

    verdict: ComparisonOutcome
    problems: tuple[Problem, ...] = ()
    left: tuple[FilePlan, ...] = ()
    """The planned changes that the pull request does not make."""


def check(plan: RenamePlan, changes: Iterable[FileChange], contents: Mapping[str, bytes]) -> RenameComparison:
    """Compare `changes` with the plan. `contents` holds the files of the pull request's head, by path."""
    if plan.problems:
        return RenameComparison("wrong", plan.problems)
    by_path, by_place = {file.path: file for file in plan.files}, {file.place: file for file in plan.files}
    removed, present, problems = set[str](), set[str](), list[Problem]()
    for change in changes:
        for path in removed_paths(change):
            removed.add(path)
            if path not in by_path or not by_path[path].moves:
                problems.append(REASONS["not-planned"].problem(path=path, old=plan.old, new=plan.new))
        if change.kind == "removed":
            continue
        present.add(change.path)
        file = by_place.get(change.path)
        if file is None:
            problems.append(REASONS["not-planned"].problem(path=change.path, old=plan.old, new=plan.new))
        else:
            problems += _file_problems(file, change, contents.get(change.path))
    problems += [
        REASONS["lost"].problem(path=path, place=by_path[path].place)
        for path in sorted(removed)
        if path in by_path and by_path[path].place not in present
    ]
    problems += [
        REASONS["not-moved"].problem(path=by_place[place].path, old=plan.old, place=place)
        for place in sorted(present)
        if place in by_place and by_place[place].moves and by_place[place].path not in removed
    ]
    left = tuple(file for file in plan.files if file.place not in present)
    if problems or len(left) == len(plan.files):
        return RenameComparison("wrong", tuple(problems), left)
    return RenameComparison("partial" if left else "exact", (), left)


def removed_paths(change: FileChange) -> list[str]:
    """Return the paths at which a change leaves no file."""
    if change.kind == "removed":
        return [change.path]
    return [change.old_path] if change.kind == "renamed" and change.old_path is not None else []


def _file_problems(file: FilePlan, change: FileChange, data: bytes | None) -> list[Problem]:
    if change.mode not in ("", REGULAR):
        return [REASONS["mode"].problem(path=change.path)]
    wanted, actual = object_in(file.data), object_in(data) if data is not None else None
    if wanted is None:
        return [] if data == file.data else [REASONS["content"].problem(path=change.path, fields="its bytes differ")]
    if actual is None:
        return [REASONS["content"].problem(path=change.path, fields="it is no JSON object")]
    names = sorted(name for name in {*wanted, *actual} if not _equal(wanted.get(name, ...), actual.get(name, ...)))
    before = object_in(file.was) or {}
    names = [name for name in names if not _is_left_unchanged(name, wanted, actual, before)]
    fields = ", ".join(names)[:300]
    return [REASONS["content"].problem(path=change.path, fields=f"it differs in {fields}")] if names else []


def _is_left_unchanged(name: str, wanted: JsonObject, actual: JsonObject, before: JsonObject) -> bool:
    """Whether field `name` differs from the plan only in what another tool leaves unchanged."""
    if name == OURS:
        return _equal(actual.get(OURS, ...), before.get(OURS, ...))
    old, planned = before.get(name), wanted.get(name)
    if name != "config" or not isinstance(old, dict) or not isinstance(planned, dict) or _NAME not in old:
        return False
    return _equal(actual.get(name, ...), {**planned, _NAME: old[_NAME]})


@dataclass(frozen=True)
class FileCorrection:
    """What another tool left unchanged in one file: values of `fields`, and members `facts` of the `steward` block.

    `guard` holds the values that the fields have now.
    """

    fields: JsonObject
    facts: JsonObject
    guard: Mapping[str, tuple[Any, ...]]


def missing_facts(plan: RenamePlan, contents: Mapping[str, bytes]) -> dict[str, FileCorrection]:
    """Map paths to what still must be set there."""
    corrections: dict[str, FileCorrection] = {}
    for file in plan.files:
        wanted, present = object_in(file.data) or {}, object_in(contents.get(file.place, b"")) or {}
        ours, theirs = wanted.get(OURS), present.get(OURS)
        facts, fields = dict[str, Any](), dict[str, Any]()
        if isinstance(ours, dict) and isinstance(theirs, dict):
            facts = {name: value for name, value in ours.items() if not _equal(theirs.get(name, ...), value)}
        before = object_in(file.was) or {}
        is_left = _is_left_unchanged("config", wanted, present, before)
        if is_left and not _equal(present.get("config"), wanted.get("config")):
            fields = {"config": wanted["config"]}
        if facts or fields:
            corrections[file.place] = FileCorrection(fields, facts, {name: (present[name],) for name in fields})
    return corrections


def _equal(first: Any, second: Any) -> bool:
    """Whether two values are the same JSON; `...` stands for a missing value."""
    return first is second if first is ... or second is ... else is_same(first, second)
