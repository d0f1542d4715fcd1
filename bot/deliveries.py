"""What a webhook delivery says, and what may be out of step because of it.

A payload is a hint from a stranger: nothing in it is acted on but *which* thing to look at. The model is tolerant on
purpose. A delivery that is refused counts towards the suspension of the webhook, so whatever cannot be read is kept,
counted and ignored.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from leaderboard.boards import Board
from wire.dirty import Priority

REQUESTS = "requests"
"""Dirty key: the requests repo has commits that nobody looked at."""


@dataclass(frozen=True)
class Mark:
    """A key to make dirty, and who waits for it."""

    key: str
    priority: Priority


@dataclass(frozen=True)
class Reading:
    """What was made of a delivery: a word for the counts, and the marks."""

    verdict: str
    marks: tuple[Mark, ...] = ()


def delivery_key(header: str | None, body: bytes) -> str:
    """The id under which a delivery counts once: the Hub's `Webhook-Id`, else a digest of the body."""
    if header and len(header) <= 200 and header.isprintable():
        return header
    return "sha256-" + hashlib.sha256(body).hexdigest()


def read_delivery(body: bytes, board: Board) -> Reading:
    """What `body` may have changed on `board`. Never raises."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return Reading("not-json")
    scope, repo = _text(payload, "event", "scope"), _text(payload, "repo", "name")
    if scope is None or repo is None:
        return Reading("unknown")
    kind = _text(payload, "repo", "type")
    if kind != "dataset" or repo.lower() != board.repos.requests.lower():
        return Reading("irrelevant")
    if scope.startswith("repo.content") and _touches_main(payload):
        return Reading("requests", (Mark(REQUESTS, Priority.PERSON),))
    return Reading("irrelevant")


def _text(payload: Any, *path: str) -> str | None:
    for name in path:
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload if isinstance(payload, str) else None


def _touches_main(payload: dict[str, Any]) -> bool:
    """Whether main may have moved; a delivery that does not name its refs may be about any of them."""
    refs = payload.get("updatedRefs")
    if not isinstance(refs, list):
        return True
    return any(_text(ref, "ref") == "refs/heads/main" for ref in refs)
