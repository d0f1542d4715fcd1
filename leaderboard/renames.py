"""Renaming a model on the board: which files must move, which fields must change, and nothing else.

A plan is made from the files as they are, never from what somebody proposes. What a pull request does is then compared
with it: as parsed JSON, for the tools that write such pull requests format as they like, and nothing else may differ.

    requests   {old}_eval_request_*.json -> {new}_eval_request_*.json, `model`; `base_model` of other models' requests
    results    {old}/results_*.json -> {new}/results_*.json; `config_general.model_name` (v1), `config.model_args`,
               `config.model_name`, `model_name` and `model_name_sanitized` (v2), and our own block's `model` and
               `request`

Other files that lie in a results folder move as they are. Tools of others know nothing of our own block `steward` and
of `config.model_name`: what is left there as it was is right too, and mended afterwards.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from leaderboard.changes import REGULAR, FileChange
from leaderboard.jsontext import edit, is_same, object_in
from leaderboard.reasons import Problem, Reason, table
from leaderboard.requests import OURS, RequestPath, is_model, parse_path

Kind = Literal["requests", "results"]
ComparisonOutcome = Literal["exact", "partial", "wrong"]
MOST_FILES = 2_000
"""Files that one rename may touch: more are looked at by a person."""
_NAME = "model_name"

REASONS = table(
    (
        Reason("same-name", "The old and the new name are the same.", "Name the model as it is called now."),
        Reason("no-name", "'{name}' cannot be a name on the Hub.", "Copy the model's id from its page."),
        Reason("nothing-to-rename", "There is nothing of {old} in this repo.", "Check the old name for typing errors."),
        Reason("taken", "{path} is there already: another model's files would be overwritten.", "Choose another name."),
        Reason(
            "unreadable",
            "{path} is no JSON object, so its name cannot be changed safely.",
            "A person has to look at it.",
        ),
        Reason("two-models", "It renames more than one model: {names}.", "Open a pull request for each."),
        Reason("not-planned", "{path} has nothing to do with renaming {old} to {new}.", "Leave it as it is."),
        Reason("not-moved", "{path} is still there; it belongs to {old}.", "Move it to {place}."),
        Reason("lost", "{path} is removed, and {place} is not there in its stead.", "Move the file, do not remove it."),
        Reason(
            "content",
            "{path} is not what the rename makes of it: {fields}.",
            "Change the names in it, and nothing else.",
        ),
        Reason("mode", "{path} is no plain file any more.", "Keep it a plain file."),
        Reason("too-many", "It touches more than {most} files.", "A person has to look at it."),
        Reason("too-much", "It is more than is looked through without a person: {what}.", "A maintainer has to do it."),
    )
)


@dataclass(frozen=True)
class FilePlan:
    """What becomes of one file: `path` -> `place` (the same where it only changes), with the contents `data`.

    `was` is the content that it was planned from.
    """

    path: str
    place: str
    was: bytes
    data: bytes

    @property
    def moves(self) -> bool:
        """Whether it changes its place."""
        return self.path != self.place


@dataclass(frozen=True)
class RenamePlan:
    """The rename of `old` to `new` in one repo; `problems` say why it cannot be done."""

    kind: Kind
    old: str
    new: str
    files: tuple[FilePlan, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def digest(self) -> str:
        """Names this very plan: an approval is bound to it."""
        told = [(one.path, one.place, hashlib.sha256(one.was).hexdigest()) for one in self.files]
        return hashlib.sha256(json.dumps([self.kind, self.old, self.new, sorted(told)]).encode()).hexdigest()


def plan(kind: Kind, old: str, new: str, files: Mapping[str, bytes], taken: Iterable[str] = ()) -> RenamePlan:
    """The rename of `old` to `new` upon `files`, those of the repo that may speak of `old`; `taken` are other paths."""
    problems = [REASONS["no-name"].problem(name=one[:100]) for one in (old, new) if not is_model(one)]
    if old == new:
        problems.append(REASONS["same-name"].problem())
    if problems:
        return RenamePlan(kind, old, new, problems=tuple(problems))
    planned, there = [], {*files, *taken}
    for path, data in sorted(files.items()):
        found = _file(kind, old, new, path, data)
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None:
            planned.append(found)
    leaving = {one.path for one in planned if one.moves}
    problems += [
        REASONS["taken"].problem(path=one.place) for one in planned if one.moves and one.place in there - leaving
    ]
    if not any(one.moves for one in planned):
        problems.append(REASONS["nothing-to-rename"].problem(old=old))
    if len(planned) > MOST_FILES:
        problems.append(REASONS["too-many"].problem(most=f"{MOST_FILES:,}"))
    return RenamePlan(kind, old, new, tuple(planned), tuple(problems))


def _file(kind: Kind, old: str, new: str, path: str, data: bytes) -> FilePlan | Problem | None:
    """What becomes of one file; None where it has nothing to do with `old`."""
    place = request_place(old, new, path) if kind == "requests" else result_place(old, new, path)
    if kind == "results" and place == path:
        return None
    fields = object_in(data)
    if fields is None:
        if place == path:
            return None
        # A folder of results may hold pictures and tables; a request is an object or nothing.
        is_opaque = kind == "results" and not path.endswith(".json")
        return FilePlan(path, place, data, data) if is_opaque else REASONS["unreadable"].problem(path=path)
    changed = _request(old, new, fields) if kind == "requests" else _result(old, new, fields)
    if place == path and changed == fields:
        return None
    return FilePlan(path, place, data, data if changed == fields else _new_contents(data, fields, changed))


def request_place(old: str, new: str, path: str) -> str:
    """Where the request file at `path` is once `old` is called `new`; `path` itself where it is another model's."""
    where = parse_path(path)
    if not isinstance(where, RequestPath) or where.model != old:
        return path
    org, _, name = new.rpartition("/")
    return str(RequestPath(org, name, where.private, where.precision, where.weight_type))


def result_place(old: str, new: str, path: str) -> str:
    """Where a file of the results of `old` is once it is called `new`."""
    return f"{new}/{path.removeprefix(f'{old}/')}" if path.startswith(f"{old}/") else path


def _request(old: str, new: str, fields: dict[str, Any]) -> dict[str, Any]:
    return {key: new if key in ("model", "base_model") and value == old else value for key, value in fields.items()}


def _result(old: str, new: str, fields: dict[str, Any]) -> dict[str, Any]:
    changed = dict(fields)
    if fields.get("model_name") == old:
        changed["model_name"] = new
    if fields.get("model_name_sanitized") == sanitised(old):
        changed["model_name_sanitized"] = sanitised(new)
    _within(changed, "config_general", lambda inner: _same_or(inner, "model_name", old, new))
    _within(changed, "config", lambda inner: _arguments(_same_or(inner, "model_name", old, new), old, new))
    _within(changed, OURS, lambda inner: _steward_block(inner, old, new))
    return changed


def _within(fields: dict[str, Any], name: str, change: Any) -> None:
    inner = fields.get(name)
    if isinstance(inner, dict):
        fields[name] = change(dict(inner))


def _same_or(inner: dict[str, Any], name: str, old: str, new: str) -> dict[str, Any]:
    return {**inner, name: new} if inner.get(name) == old else inner


def _arguments(inner: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """`model_args` as the harness writes it: `pretrained=org/model,dtype=…`, or an object."""
    said = inner.get("model_args")
    if isinstance(said, str):
        parts = [f"pretrained={new}" if part == f"pretrained={old}" else part for part in said.split(",")]
        return {**inner, "model_args": ",".join(parts)}
    if isinstance(said, dict):
        return {**inner, "model_args": _same_or(said, "pretrained", old, new)}
    return inner


def _steward_block(inner: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    inner = _same_or(inner, "model", old, new)
    said = inner.get("request")
    return {**inner, "request": request_place(old, new, said)} if isinstance(said, str) else inner


def sanitised(model: str) -> str:
    """A model's name as the harness makes a file name of it."""
    return re.sub(r"[\"<>:/\\|?*\[\]]+", "__", model)


def _new_contents(data: bytes, before: dict[str, Any], after: dict[str, Any]) -> bytes:
    """The new contents, in the file's own text but for the values that change."""
    changes = {key: value for key, value in after.items() if before.get(key) != value}
    return edit(data.decode("utf-8"), changes).encode()


@dataclass(frozen=True)
class RenameComparison:
    """What a pull request does, held against the plan: right, right but not all of it, or wrong."""

    verdict: ComparisonOutcome
    problems: tuple[Problem, ...] = ()
    left: tuple[FilePlan, ...] = ()
    """What the plan holds and the pull request does not do."""


def check(it: RenamePlan, changes: Iterable[FileChange], contents: Mapping[str, bytes]) -> RenameComparison:
    """Hold `changes` against the plan. `contents` are the files of the pull request's head, by path."""
    if it.problems:
        return RenameComparison("wrong", it.problems)
    by_path, by_place = {one.path: one for one in it.files}, {one.place: one for one in it.files}
    gone, there, problems = set[str](), set[str](), list[Problem]()
    for change in changes:
        for path in removed_paths(change):
            gone.add(path)
            if path not in by_path or not by_path[path].moves:
                problems.append(REASONS["not-planned"].problem(path=path, old=it.old, new=it.new))
        if change.kind == "removed":
            continue
        there.add(change.path)
        one = by_place.get(change.path)
        if one is None:
            problems.append(REASONS["not-planned"].problem(path=change.path, old=it.old, new=it.new))
        else:
            problems += _file_problems(one, change, contents.get(change.path))
    problems += [
        REASONS["lost"].problem(path=path, place=by_path[path].place)
        for path in sorted(gone)
        if path in by_path and by_path[path].place not in there
    ]
    problems += [
        REASONS["not-moved"].problem(path=by_place[place].path, old=it.old, place=place)
        for place in sorted(there)
        if place in by_place and by_place[place].moves and by_place[place].path not in gone
    ]
    left = tuple(one for one in it.files if one.place not in there)
    if problems or len(left) == len(it.files):
        return RenameComparison("wrong", tuple(problems), left)
    return RenameComparison("partial" if left else "exact", (), left)


def removed_paths(change: FileChange) -> list[str]:
    """Paths at which there is nothing any more."""
    if change.kind == "removed":
        return [change.path]
    return [change.old_path] if change.kind == "renamed" and change.old_path is not None else []


def _file_problems(one: FilePlan, change: FileChange, data: bytes | None) -> list[Problem]:
    if change.mode not in ("", REGULAR):
        return [REASONS["mode"].problem(path=change.path)]
    wanted, found = object_in(one.data), object_in(data) if data is not None else None
    if wanted is None:
        return [] if data == one.data else [REASONS["content"].problem(path=change.path, fields="its bytes differ")]
    if found is None:
        return [REASONS["content"].problem(path=change.path, fields="it is no JSON object")]
    names = sorted(name for name in {*wanted, *found} if not _equal(wanted.get(name, ...), found.get(name, ...)))
    was = object_in(one.was) or {}
    names = [name for name in names if not _is_left(name, wanted, found, was)]
    fields = ", ".join(names)[:300]
    return [REASONS["content"].problem(path=change.path, fields=f"it differs in {fields}")] if names else []


def _is_left(name: str, wanted: Mapping[str, Any], found: Mapping[str, Any], was: Mapping[str, Any]) -> bool:
    """Whether field `name` differs from the plan in nothing but what a tool of others leaves as it was."""
    if name == OURS:
        return _equal(found.get(OURS, ...), was.get(OURS, ...))
    before, planned = was.get(name), wanted.get(name)
    if name != "config" or not isinstance(before, dict) or not isinstance(planned, dict) or _NAME not in before:
        return False
    return _equal(found.get(name, ...), {**planned, _NAME: before[_NAME]})


@dataclass(frozen=True)
class Mending:
    """What a tool of others left as it was in one file: values of `fields`, and members `facts` of our block.

    `guard` holds the values that the fields have now.
    """

    fields: Mapping[str, Any]
    facts: Mapping[str, Any]
    guard: Mapping[str, tuple[Any, ...]]


def missing_facts(it: RenamePlan, contents: Mapping[str, bytes]) -> dict[str, Mending]:
    """Path → what still has to be set there."""
    found: dict[str, Mending] = {}
    for one in it.files:
        wanted, there = object_in(one.data) or {}, object_in(contents.get(one.place, b"")) or {}
        ours, theirs = wanted.get(OURS), there.get(OURS)
        facts, fields = dict[str, Any](), dict[str, Any]()
        if isinstance(ours, dict) and isinstance(theirs, dict):
            facts = {name: value for name, value in ours.items() if not _equal(theirs.get(name, ...), value)}
        was = object_in(one.was) or {}
        if not _equal(there.get("config"), wanted.get("config")) and _is_left("config", wanted, there, was):
            fields = {"config": wanted["config"]}
        if facts or fields:
            found[one.place] = Mending(fields, facts, {name: (there[name],) for name in fields})
    return found


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; `...` stands for one that is missing."""
    return one is other if one is ... or other is ... else is_same(one, other)
