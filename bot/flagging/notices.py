"""Our own short words in the thread of a flag, and what of ours is found there."""

from __future__ import annotations

from collections.abc import Iterator

from bot.commands import people
from bot.desk import Desk
from bot.texts.render import render
from hub.comments import Marker, find_marked, is_by, marker_of
from hub.records import Comment, Repo, Thread
from leaderboard.roles import Role

FLAGGED, CURED, REOPENED, LIMIT = "flagged", "cured", "reopened", "not-reopened"
REPORTED, DISMISSED, DECIDED = "reported", "dismissed", "decided"
"""Kinds of our markers."""


def address(desk: Desk, repo: Repo, number: int) -> str:
    """Where people find a thread."""
    return f"{desk.address(repo)}/discussions/{number}"


def say(desk: Desk, repo: Repo, thread: Thread, kind: str, key: str, author: str, **words: object) -> int:
    """Say something once, by the name of what caused it; how many comments were posted."""
    marker = desk.marker(kind, key)
    if find_marked(thread.comments, marker, desk.me()) is not None:
        return 0
    body = render("flag_note", kind=kind, author=author, **words)
    if desk.effects.comment(repo, thread.num, body, marker, asked=True, seen=thread) is None:
        return 0
    desk.echoes.caused("discussion", repo.id, now=desk.now())
    return 1


def kind_of(desk: Desk, comment: Comment) -> str:
    """The kind of the marker that a comment of ours begins with; "" for one that is not ours."""
    marker = marker_of(comment.text) if is_by(desk.me(), comment.author_id, comment.author_name) else None
    return marker.kind if marker is not None and marker.board == desk.board.name else ""


def our_lines(desk: Desk, thread: Thread) -> Iterator[Marker]:
    """The markers that stand as lines in comments of ours, in order."""
    me = desk.me()
    for comment in thread.comments:
        if is_by(me, comment.author_id, comment.author_name):
            for line in comment.text.splitlines():
                marker = marker_of(line)
                if marker is not None and marker.board == desk.board.name:
                    yield marker


def is_maintainer(desk: Desk, comment: Comment) -> bool:
    """Whether a maintainer wrote it."""
    if comment.author_id in desk.board.maintainers or not desk.board.maintainer_organisations:
        return comment.author_id in desk.board.maintainers
    person = people.author(desk, comment)
    return person is not None and Role.MAINTAINER in people.roles(desk, person, model="", submitter="", fresh=False)[1]


def after_maintainers(desk: Desk, thread: Thread) -> tuple[Comment, ...]:
    """What was written after the last word of a maintainer."""
    last = max((at for at, one in enumerate(thread.comments) if is_maintainer(desk, one)), default=-1)
    return thread.comments[last + 1 :]
