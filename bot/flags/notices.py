"""The bot's short comments in threads of flags: post them once, and find them again by their markers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.core import people
from bot.core.context import BoardContext
from bot.core.render import render
from hub.comments import Marker, find_marked, is_by, marker_of
from hub.records import Comment, Repo, Thread

FLAGGED, EVIDENCE_GONE, REOPENED, LIMIT = "flagged", "cured", "reopened", "not-reopened"
APPEALED = "appealed"
REPORTED, DISMISSED, DECIDED = "reported", "dismissed", "decided"
"""Kinds of the bot's markers."""


def address(context: BoardContext, repo: Repo, number: int) -> str:
    """The address of a thread."""
    return f"{context.address(repo)}/discussions/{number}"


def say(
    context: BoardContext, repo: Repo, thread: Thread, kind: str, key: str, author: str, **variables: object
) -> int:
    """Post a comment of this kind once for each `key`. Return the number of posted comments."""
    marker = context.marker(kind, key)
    if find_marked(thread.comments, marker, context.me()) is not None:
        return 0
    body = render("flag_note", kind=kind, author=author, **variables)
    return int(context.effects.comment(repo, thread.num, body, marker, asked=True, seen=thread) is not None)


def of_kind(context: BoardContext, comments: Sequence[Comment], kind: str) -> list[Comment]:
    """The bot's comments that begin with a marker of this kind."""
    me, board = context.me(), context.board.name
    own = [
        (comment, marker_of(comment.text)) for comment in comments if is_by(me, comment.author_id, comment.author_name)
    ]
    return [comment for comment, marker in own if marker is not None and (marker.board, marker.kind) == (board, kind)]


def our_lines(context: BoardContext, thread: Thread) -> Iterator[tuple[Comment, Marker]]:
    """The markers that are lines of the bot's comments, in order, each with its comment."""
    me = context.me()
    for comment in thread.comments:
        if is_by(me, comment.author_id, comment.author_name):
            for line in comment.text.splitlines():
                marker = marker_of(line)
                if marker is not None and marker.board == context.board.name:
                    yield comment, marker


def by_maintainers(context: BoardContext, thread: Thread) -> frozenset[str]:
    """The ids of comments in `thread` that maintainers wrote. Where the Hub gives the ids of authors, it costs the
    calls of `people.maintainers`, for any number of authors."""
    maintainers = people.maintainers(context)
    authors = ((comment.id, people.author(context, comment)) for comment in thread.comments)
    return frozenset(id for id, author in authors if author is not None and author.id in maintainers)


def after_maintainers(context: BoardContext, thread: Thread) -> tuple[Comment, ...]:
    """Comments after the last comment of a maintainer."""
    ids_by_maintainers = by_maintainers(context, thread)
    last = max((index for index, comment in enumerate(thread.comments) if comment.id in ids_by_maintainers), default=-1)
    return thread.comments[last + 1 :]
