"""Compares a pull request that renames a model with the plan of that rename.

The comparison parses JSON, because tools that write such pull requests format it in various ways; no other difference
is allowed. Other tools know neither the `steward` block nor `config.model_name`: unchanged values there are accepted
and corrected afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from leaderboard.changes import REGULAR, FileChange, removed_paths
from leaderboard.jsontext import JsonObject, is_same, object_in
from leaderboard.reasons import Problem
from leaderboard.rename_contents import MODEL_NAME
from leaderboard.renames import REASONS, FilePlan, RenamePlan
from leaderboard.steward_facts import OURS

ComparisonOutcome = Literal["exact", "partial", "wrong"]


@dataclass(frozen=True)
class RenameComparison:
    """The comparison of a pull request with the plan: exact, partial or wrong."""

    verdict: ComparisonOutcome
    problems: tuple[Problem, ...] = ()
    left: tuple[FilePlan, ...] = ()
    """The planned changes that the pull request does not make."""


def compare_with_plan(
    plan: RenamePlan, changes: Iterable[FileChange], contents: Mapping[str, bytes]
) -> RenameComparison:
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
    if name != "config" or not isinstance(old, dict) or not isinstance(planned, dict) or MODEL_NAME not in old:
        return False
    return _equal(actual.get(name, ...), {**planned, MODEL_NAME: old[MODEL_NAME]})


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
