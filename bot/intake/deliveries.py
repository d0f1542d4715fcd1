"""Reading a webhook delivery: which dirty keys it marks.

A payload is an untrusted hint: the bot only takes from it *which* thing to sync. The parser is tolerant on purpose. A
refused delivery counts towards the suspension of the webhook, so an unreadable one is stored, counted and ignored.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from leaderboard.boards import Board
from redis_state.dirty import SyncPriority
from redis_state.webhook_quota import Domain

REQUESTS = "requests"
"""Dirty key: the requests repo may have new commits."""
FLAGS = "flags"
"""Dirty key: the flags repo may have new commits."""

OWN = "own"
VERDICTS = {
    "requests": "Commits on main of the requests repo: the repo is synced.",
    "flags": "Commits on main of the flags repo: the repo is synced.",
    "thread": "A discussion or pull request in which people write to the bot: it is synced.",
    OWN: "A comment of the bot itself: nothing is synced.",
    "irrelevant": "About something that this board does not follow.",
    "unknown": "JSON, but not in the form of a delivery; stored, in case the Hub has a new form.",
    "not-json": "Not JSON; stored, because a refusal would count against the webhook.",
}
"""Verdict on a delivery → its meaning."""
_Repo = tuple[str, str]
"""Kind and name."""
_MAIN = "refs/heads/main"
_REFS, _ID = 1_000, 64
"""Refs of one delivery that are read, and characters of an id: they bound what untrusted input makes the bot store."""
_PULL_REF = re.compile(r"refs/pr/([1-9][0-9]{0,8})")


@dataclass(frozen=True)
class DirtyMark:
    """A key to mark dirty, and its priority."""

    key: str
    priority: SyncPriority


@dataclass(frozen=True)
class DeliveryReading:
    """The result of reading a delivery: a verdict, the marks, and the quota that it used."""

    verdict: str
    marks: tuple[DirtyMark, ...] = ()
    quota_source: tuple[Domain, str] | None = None
    """Domain and repo of the webhook whose quota it used; None if the repo is not the board's."""
    author: str = ""
    """Hub id of the comment's author; empty for a delivery without a comment, or about a hidden one."""


def is_delivery_id(header: str | None) -> bool:
    """Whether a `Webhook-Id` can serve as the id under which a delivery counts once."""
    return bool(header) and len(header or "") <= 200 and str(header).isprintable()


def digest_id(body: bytes) -> str:
    """The id of a delivery that came without one: a digest of its body."""
    return "sha256-" + hashlib.sha256(body).hexdigest()


def read_delivery(body: bytes, board: Board) -> DeliveryReading:
    """Read `body` as a delivery about `board`. Never raises."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return DeliveryReading("not-json")
    scope, name = _text(payload, "event", "scope"), _text(payload, "repo", "name")
    if scope is None or name is None:
        return DeliveryReading("unknown")
    repo = _board_repo(board, _text(payload, "repo", "type"), name)
    if repo is None:
        return DeliveryReading("irrelevant")
    if scope.startswith("discussion"):
        return _discussion(payload, board, repo)
    return _content(payload, board, repo, moves=scope.startswith("repo.content"))


def _content(payload: dict[str, Any], board: Board, repo: _Repo, *, moves: bool) -> DeliveryReading:
    """Read a delivery about a repo; `moves` says that its refs moved."""
    quota_source: tuple[Domain, str] = ("repo.content", repo[1])
    refs = _refs(payload) if moves else ()
    marks = tuple(
        DirtyMark(_thread_key(repo, number), SyncPriority.EVENT)
        for number in _pulls(refs)
        if _takes_comments(board, repo)
    )
    if repo == ("dataset", board.repos.requests) and _MAIN in refs:
        return DeliveryReading("requests", (DirtyMark(REQUESTS, SyncPriority.PERSON), *marks), quota_source)
    if repo == ("dataset", board.repos.flags) and _MAIN in refs:
        return DeliveryReading("flags", (DirtyMark(FLAGS, SyncPriority.EVENT),), quota_source)
    return DeliveryReading("thread" if marks else "irrelevant", marks, quota_source)


def _discussion(payload: dict[str, Any], board: Board, repo: _Repo) -> DeliveryReading:
    quota_source: tuple[Domain, str] = ("discussion", repo[1])
    discussion, comment = payload.get("discussion"), payload.get("comment")
    number = discussion.get("num") if isinstance(discussion, dict) else None
    if not (_takes_comments(board, repo) and type(number) is int and 0 < number < 10**9):
        return DeliveryReading("irrelevant", (), quota_source)
    # If a person hides a comment of the bot, the comment's author is not the cause of the delivery.
    is_hidden = isinstance(comment, dict) and (comment.get("hidden") is True or "content" not in comment)
    author = "" if is_hidden else (_text(payload, "comment", "author", "id") or "")[:_ID]
    # The author of a new comment waits for an answer; an edit or a change of state is less urgent.
    is_new = _text(payload, "event", "action") == "create"
    mark = DirtyMark(_thread_key(repo, number), SyncPriority.PERSON if is_new else SyncPriority.EVENT)
    return DeliveryReading("thread", (mark,), quota_source, author)


def _board_repo(board: Board, kind: str | None, name: str) -> _Repo | None:
    """The board's repo of this name, in the board's spelling, because the Hub ignores case. None for any other."""
    repos, lower = board.repos, name.lower()
    ours: list[_Repo] = [("dataset", repos.requests), ("dataset", repos.results), ("dataset", repos.logs)]
    ours += [("dataset", repo) for repo in (repos.flags, repos.contents) if repo]
    ours.append((repos.community_type, repos.community))
    return next(
        (
            (board_kind, board_name)
            for board_kind, board_name in ours
            if kind == board_kind and lower == board_name.lower()
        ),
        None,
    )


def _takes_comments(board: Board, repo: _Repo) -> bool:
    """Whether people write to the bot in the threads of `repo`."""
    repos = board.repos
    return repo in (("dataset", repos.requests), ("dataset", repos.results), (repos.community_type, repos.community))


def _thread_key(repo: _Repo, number: int) -> str:
    """The same as `bot.core.context.thread_key`, without making a Repo for each of thousands of deliveries a second."""
    return f"thread:{repo[0]}/{repo[1]}:{number}"


def _refs(payload: dict[str, Any]) -> tuple[str, ...]:
    """The refs that moved; main for a delivery that does not name them."""
    refs = payload.get("updatedRefs")
    if not isinstance(refs, list):
        return (_MAIN,)
    return tuple(name for ref in refs[:_REFS] if (name := _text(ref, "ref")) is not None)


def _pulls(refs: tuple[str, ...]) -> Iterator[int]:
    return (int(match[1]) for ref in refs if (match := _PULL_REF.fullmatch(ref)))


def _text(payload: Any, *path: str) -> str | None:
    for name in path:
        payload = payload.get(name) if isinstance(payload, dict) else None
    return payload if isinstance(payload, str) else None
