"""Reads the rename that a pull request claims, from the shape of its diff or else from its title.

Titles are untrusted. They only select the plan that a pull request is compared with, never the result.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaderboard.changes import FileChange, removed_paths
from leaderboard.links import models_in
from leaderboard.reasons import Problem, names
from leaderboard.renames import REASONS, Kind
from leaderboard.request_paths import RequestPath, parse_path

_TITLE = re.compile(r"\brenam(e|es|ed|ing)\b|\bnew name\b", re.IGNORECASE)


@dataclass(frozen=True)
class RenameClaim:
    """A claim to rename `old` to `new`; with a `problem`, it claims several renames and these are examples."""

    old: str
    new: str
    problem: Problem | None = None


def read_claim(kind: Kind, title: str, changes: Sequence[FileChange]) -> RenameClaim | None:
    """Return the rename that a pull request with this title and diff claims in a repo of this kind, if any."""
    losing, gaining = models_in_diff(kind, changes)
    leaving, coming = sorted(losing - gaining), sorted(gaining - losing)
    names_rename = _TITLE.search(title) is not None
    if leaving and coming and (names_rename or _is_move(kind, changes, leaving, coming)):
        if len(leaving) == len(coming) == 1:
            return RenameClaim(leaving[0], coming[0])
        problem = REASONS["two-models"].problem(names=names(leaving if len(leaving) > 1 else coming))
        return RenameClaim(leaving[0], coming[0], problem)
    titled = models_in(title) if names_rename else []
    return RenameClaim(titled[0], titled[1]) if len(titled) == 2 else None


def models_in_diff(kind: Kind, changes: Iterable[FileChange]) -> tuple[set[str], set[str]]:
    """Return the models that lose files and the models that gain files."""
    losing: set[str] = set()
    gaining: set[str] = set()
    for change in changes:
        losing |= {model for path in removed_paths(change) if (model := model_of_path(kind, path))}
        if change.kind in ("added", "renamed", "copied") and (model := model_of_path(kind, change.path)):
            gaining.add(model)
    return losing, gaining


def model_of_path(kind: Kind, path: str) -> str:
    """Return the model to which the file at `path` belongs; "" for none."""
    if kind == "requests":
        where = parse_path(path)
        return where.model if isinstance(where, RequestPath) else ""
    folder, _, name = path.rpartition("/")
    return folder if name.startswith("results_") and name.endswith(".json") and folder.count("/") < 2 else ""


def _is_move(kind: Kind, changes: Sequence[FileChange], leaving: Sequence[str], coming: Sequence[str]) -> bool:
    """Whether git reports moved files, or removed and added files differ in the model's name only."""
    if any(change.kind == "renamed" for change in changes):
        return True
    removed_names = {_rest(kind, path, leaving) for change in changes for path in removed_paths(change)}
    added_names = {_rest(kind, change.path, coming) for change in changes if change.kind == "added"}
    return bool((removed_names & added_names) - {""})


def _rest(kind: Kind, path: str, models: Sequence[str]) -> str:
    model = model_of_path(kind, path)
    return path.removeprefix(model) if model in models else ""
