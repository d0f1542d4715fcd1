"""Requests that are there twice: for the same model, commit, precision and type of weights, under two paths.

One path per request keeps most of that away; two differ in the case of a letter, or in a slot that nobody reads any
more. Of two the one with results stays, else the one that was there first. Facts in, words out.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leaderboard.requests import Request, RequestPath, Status, parse_path
from leaderboard.times import read_time

_RANK = {Status.FINISHED: 0, Status.PENDING_NEW_EVAL: 1, Status.RUNNING: 2, Status.FAILED: 4}


@dataclass(frozen=True)
class DuplicatePair:
    """Two requests for the same evaluation: the one that stays, and the one that is too much."""

    keep: Request
    lose: Request


def possible_duplicates(paths: Iterable[str]) -> list[tuple[str, ...]]:
    """The paths that may be for the same evaluation as another of them: two or more each, in order."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for path in paths:
        where = parse_path(path)
        if isinstance(where, RequestPath):
            key = (where.model.casefold(), where.precision.casefold(), where.weight_type.casefold())
            groups.setdefault(key, []).append(path)
    return [tuple(sorted(group)) for group in groups.values() if len(group) > 1]


def find_duplicates(requests: Iterable[Request]) -> list[DuplicatePair]:
    """What is there twice among `requests`, which are `alike`: those that do not say that they were withdrawn."""
    by_commit: dict[tuple[str, bool], list[Request]] = {}
    for request in requests:
        revision = request.file.steward.revision or request.file.revision or "main"
        if request.status not in (None, Status.CANCELLED):
            by_commit.setdefault((revision, request.file.use_chat_template is True), []).append(request)
    found: list[DuplicatePair] = []
    for several in by_commit.values():
        first, *others = sorted(several, key=_order)
        found += [DuplicatePair(first, other) for other in others]
    return found


def _order(request: Request) -> tuple[int, float, str]:
    rank = _RANK.get(request.status, 3) if request.status is not None else 9
    return rank, read_time(request.file.submitted_time) or float("inf"), str(request.path)
