"""What a pull request claims to rename: told by the shape of its diff, else by its title.

Titles are strangers' words. They only decide what a pull request is measured by, never whether it is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from leaderboard.changes import FileChange
from leaderboard.links import models_in
from leaderboard.reasons import Problem, names
from leaderboard.renames import REASONS, Kind, removed_paths
from leaderboard.requests import RequestPath, parse_path

_TITLE = re.compile(r"\brenam(e|es|ed|ing)\b|\bnew name\b", re.IGNORECASE)


@dataclass(frozen=True)
class RenameClaim:
    """`old` is to be called `new`; with `problem`, more than that is claimed, and both are examples."""

    old: str
    new: str
    problem: Problem | None = None


def read_claim(kind: Kind, title: str, changes: Sequence[FileChange]) -> RenameClaim | None:
    """What a pull request with this title and diff claims to rename in a repo of this kind; None: nothing."""
    gone, come = models_in_diff(kind, changes)
    leaving, coming = sorted(gone - come), sorted(come - gone)
    says_so = _TITLE.search(title) is not None
    if leaving and coming and (says_so or _is_move(kind, changes, leaving, coming)):
        if len(leaving) == len(coming) == 1:
            return RenameClaim(leaving[0], coming[0])
        problem = REASONS["two-models"].problem(names=names(leaving if len(leaving) > 1 else coming))
        return RenameClaim(leaving[0], coming[0], problem)
    meant = models_in(title) if says_so else []
    return RenameClaim(meant[0], meant[1]) if len(meant) == 2 else None


def models_in_diff(kind: Kind, changes: Iterable[FileChange]) -> tuple[set[str], set[str]]:
    """The models of which files go, and those of which files come."""
    gone: set[str] = set()
    come: set[str] = set()
    for change in changes:
        gone |= {model for path in removed_paths(change) if (model := model_of_path(kind, path))}
        if change.kind in ("added", "renamed", "copied") and (model := model_of_path(kind, change.path)):
            come.add(model)
    return gone, come


def model_of_path(kind: Kind, path: str) -> str:
    """The model whose file lies at `path`; "" where it is none's."""
    if kind == "requests":
        where = parse_path(path)
        return where.model if isinstance(where, RequestPath) else ""
    folder, _, name = path.rpartition("/")
    return folder if name.startswith("results_") and name.endswith(".json") and folder.count("/") < 2 else ""


def _is_move(kind: Kind, changes: Sequence[FileChange], leaving: Sequence[str], coming: Sequence[str]) -> bool:
    """Whether git sees files moved, or what goes and what comes are called the same but for the model."""
    if any(change.kind == "renamed" for change in changes):
        return True
    gone = {_rest(kind, path, leaving) for change in changes for path in removed_paths(change)}
    come = {_rest(kind, change.path, coming) for change in changes if change.kind == "added"}
    return bool((gone & come) - {""})


def _rest(kind: Kind, path: str, models: Sequence[str]) -> str:
    model = model_of_path(kind, path)
    return path.removeprefix(model) if model in models else ""
