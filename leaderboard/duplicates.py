"""Finds duplicate requests: two paths for the same model, commit, precision and weight type.

Paths identify requests, so duplicates differ only in the case of a letter or in a part of the path that has no meaning.
The request with results stays; without results, the earlier one stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.requests import Request, Status
from leaderboard.times import read_time

_RANK = {Status.FINISHED: 0, Status.PENDING_NEW_EVAL: 1, Status.RUNNING: 2, Status.FAILED: 4}


@dataclass(frozen=True)
class DuplicatePair:
    """Two requests for the same evaluation: the one to keep and the one to remove."""

    keep: Request
    lose: Request


def possible_duplicates(paths: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of two or more paths that may request the same evaluation, in order."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for path in paths:
        if (key := _key(path)) is not None:
            groups.setdefault(key, []).append(path)
    return [tuple(sorted(group)) for group in groups.values() if len(group) > 1]


def repeated(paths: Iterable[str]) -> set[int]:
    """Return the hashes (see `hash_of`) of all paths in groups of `possible_duplicates`, without holding all paths."""
    seen, again = set[int](), set[int]()
    for path in paths:
        number = hash_of(path)
        (again if number in seen else seen).add(number)
    return again


def hash_of(path: str) -> int:
    """Return the hash of what the request at `path` asks for, equal for requests of the same evaluation."""
    return hash(_key(path) or path)


def _key(path: str) -> tuple[str, str, str] | None:
    where = parse_path(path)
    if not isinstance(where, RequestPath):
        return None
    return where.model.casefold(), where.precision.casefold(), where.weight_type.casefold()


def find_duplicates(requests: Iterable[Request]) -> list[DuplicatePair]:
    """Return the duplicates among `requests`, a group of `possible_duplicates`; cancelled requests do not count."""
    by_commit: dict[tuple[str, bool], list[Request]] = {}
    for request in requests:
        revision = request.file.steward.revision or request.file.revision or "main"
        if request.status not in (None, Status.CANCELLED):
            by_commit.setdefault((revision, request.file.use_chat_template is True), []).append(request)
    pairs: list[DuplicatePair] = []
    for group in by_commit.values():
        first, *others = sorted(group, key=_order)
        pairs += [DuplicatePair(first, other) for other in others]
    return pairs


def _order(request: Request) -> tuple[int, float, str]:
    rank = _RANK.get(request.status, 3) if request.status is not None else 9
    return rank, read_time(request.file.submitted_time) or float("inf"), str(request.path)
