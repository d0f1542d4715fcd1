"""Entries of requests for the index of a board, and a call of the API that must succeed."""

from __future__ import annotations

from typing import Any

import httpx2

from redis_state.board.entry import IndexEntry
from redis_state.board.request_snapshot import RequestSnapshot


def path_of(number: int, org: str = "ada") -> str:
    """The path of a request."""
    return f"{org}/m{number}_eval_request_False_float16_Original.json"


def entry(number: int, *, org: str = "ada", **changes: Any) -> IndexEntry:
    """A request that waits."""
    standing = {"status": "PENDING", "time": 1_700_000_000.0 + number, **changes.pop("standing", {})}
    fields = {
        "path": path_of(number, org),
        "state": "waiting",
        "model": f"{org}/m{number}",
        "attempt": f"{number:012x}-deadbeef-1",
        "submitter": org,
        "submitted": 1_700_000_000.0 + number,
        "standing": RequestSnapshot(**standing),
        **changes,
    }
    return IndexEntry(**fields)


def get(web: httpx2.Client, path: str, **params: Any) -> Any:
    """Return the JSON of an answer with status 200."""
    answer = web.get(path, params={name: str(value) for name, value in params.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()
