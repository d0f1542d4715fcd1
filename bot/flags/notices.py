"""Our own short words in the thread of a flag, and what of ours is found there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bot.core import people
from bot.core.context import BoardContext
from bot.core.render import render
from hub.comments import Marker, find_marked, is_by, marker_of
from hub.records import Comment, Repo, Thread

FLAGGED, EVIDENCE_GONE, REOPENED, LIMIT = "flagged", "cured", "reopened", "not-reopened"
REPORTED, DISMISSED, DECIDED = "reported", "dismissed", "decided"
"""Kinds of our markers."""


def repos_with_flag_threads(context: BoardContext) -> tuple[Repo, ...]:
    """The repos of the board in whose threads people talk about flags."""
    return (context.requests, context.results, context.community)


def address(context: BoardContext, repo: Repo, number: int) -> str:
    """Where people find a thread."""
    return f"{context.address(repo)}/discussions/{number}"


def say(context: BoardContext, repo: Repo, thread: Thread, kind: str, key: str, author: str, **words: object) -> int:
    """Say something once, by the name of what caused it; how many comments were posted."""
    marker = context.marker(kind, key)
    if find_marked(thread.comments, marker, context.me()) is not None:
        return 0
    body = render("flag_note", kind=kind, author=author, **words)
    return int(context.effects.comment(repo, thread.num, body, marker, asked=True, seen=thread) is not None)


def of_kind(context: BoardContext, comments: Sequence[Comment], kind: str) -> list[Comment]:
    """Those of `comments` that are ours and begin with a marker of this kind."""
    me, board = context.me(), context.board.name
    ours = [(one, marker_of(one.text)) for one in comments if is_by(me, one.author_id, one.author_name)]
    return [one for one, marker in ours if marker is not None and (marker.board, marker.kind) == (board, kind)]


def our_lines(context: BoardContext, thread: Thread) -> Iterator[Marker]:
    """The markers that stand as lines in comments of ours, in order."""
    me = context.me()
    for comment in thread.comments:
        if is_by(me, comment.author_id, comment.author_name):
            for line in comment.text.splitlines():
                marker = marker_of(line)
                if marker is not None and marker.board == context.board.name:
                    yield marker


def by_maintainers(context: BoardContext, thread: Thread) -> frozenset[str]:
    """The ids of the comments in `thread` that maintainers wrote. However many people speak there, it costs no more
    than `people.maintainers` does, where the Hub tells the ids of authors."""
    maintainers = people.maintainers(context)
    authors = ((comment.id, people.author(context, comment)) for comment in thread.comments)
    return frozenset(id for id, author in authors if author is not None and author.id in maintainers)


def after_maintainers(context: BoardContext, thread: Thread) -> tuple[Comment, ...]:
    """What was written after the last word of a maintainer."""
    theirs = by_maintainers(context, thread)
    last = max((at for at, one in enumerate(thread.comments) if one.id in theirs), default=-1)
    return thread.comments[last + 1 :]
