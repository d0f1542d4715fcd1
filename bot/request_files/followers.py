"""Threads that follow a request: the end of its evaluation is told there, once, to whoever asked.

That a thread follows a request stands in our own comment there, as a hidden marker `follow` with the request's path,
the content that its file had then, and how it stood. So it survives the loss of Redis; the list in Redis only says
which threads to look at when a request has come to an end. One that had failed is followed too: it has another end once
it was evaluated again, and none because somebody changed a field of its file.

Race accepted: after Redis was lost a closed thread is not looked through until somebody writes in it, so what it
follows is told late or not at all. Open ones are looked through in turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from bot.core.context import BoardContext, thread_key
from bot.core.render import Safe, render
from bot.read_models import models, serializers
from hub.comments import Marker, find_marked, is_by, marker_of
from hub.records import Comment, Repo, Thread
from redis_state.board.entry import IndexEntry
from redis_state.dirty import SyncPriority
from redis_state.redis import text

FOLLOW, ENDED = "follow", "ended"
ENDS = ("finished", "failed", "cancelled")


@dataclass(frozen=True)
class FollowedRequest:
    """One request that a thread follows: since its file had the content `oid` and it `stood` so, as `comment` says."""

    path: str
    oid: str
    stood: str
    comment: Comment


def follow(context: BoardContext, entry: IndexEntry, repo: Repo, number: int) -> Safe:
    """Have the thread follow `entry` from now on; the hidden line that the comment which says so must hold."""
    context.redis.sadd(context.keys.followers(entry.path), thread_key(repo, number))
    return Safe(str(_marker(context, entry)))


def _marker(context: BoardContext, entry: IndexEntry) -> Marker:
    return context.marker(FOLLOW, f"{entry.file_oid or '-'}.{_stands(entry)} {entry.path}")


def _stands(entry: IndexEntry) -> str:
    """A digest of how many attempts there were, and how it ended: as its file has it, so the same without Redis."""
    seen = entry.standing
    cause = seen.failure.cause if seen.failure is not None else ""
    return hashlib.sha256(f"{entry.used or 0} {seen.status} {cause}".encode()).hexdigest()[:12]


def call_followers(context: BoardContext, path: str) -> None:
    """The request at `path` has come to an end: have the threads that follow it looked at. One round trip."""
    keys = [text(key) for key in context.redis.smembers(context.keys.followers(path))]
    if keys:
        context.mark_all(keys, SyncPriority.PERSON)


def tell_ends(context: BoardContext, repo: Repo, thread: Thread) -> int:
    """Tell in `thread` of each end that it waits for; how many comments were posted."""
    posted, open_ends, waits_for = 0, False, list(_followed(context, thread))
    entries = context.index.find([followed.path for followed in waits_for])
    for followed, entry in zip(waits_for, entries, strict=True):
        key = context.keys.followers(followed.path)
        if entry is not None and not _has_ended(context, entry, followed):
            context.redis.sadd(key, thread_key(repo, thread.num))
            open_ends = True
            continue
        if entry is not None:
            posted += _tell(context, repo, thread, followed, entry)
        context.redis.srem(key, thread_key(repo, thread.num))
    if posted and not open_ends:
        _close(context, repo, thread)
    return posted


def _followed(context: BoardContext, thread: Thread) -> Iterator[FollowedRequest]:
    me = context.me()
    for comment in thread.comments:
        if not is_by(me, comment.author_id, comment.author_name):
            continue
        for line in comment.text.splitlines()[1:]:
            marker = marker_of(line)
            if marker is not None and (marker.board, marker.kind) == (context.board.name, FOLLOW):
                state, _, path = marker.key.partition(" ")
                oid, _, stood = state.partition(".")
                yield FollowedRequest(path, oid, stood, comment)


def _has_ended(context: BoardContext, entry: IndexEntry, followed: FollowedRequest) -> bool:
    is_another = (entry.file_oid or "-") != followed.oid and _stands(entry) != followed.stood
    return is_another and entry.state == "settled" and serializers.summary(context, entry).state in ENDS


def _tell(context: BoardContext, repo: Repo, thread: Thread, followed: FollowedRequest, entry: IndexEntry) -> int:
    marker = context.marker(ENDED, f"{followed.comment.id} {followed.path}")
    if find_marked(thread.comments, marker, context.me()) is not None:
        return 0
    is_here = (repo, thread.num) == (context.requests, entry.thread)
    body = render("ended", one=serializers.request(context, entry), name=_who_asked(thread, followed), is_here=is_here)
    return int(context.effects.comment(repo, thread.num, body, marker, asked=True, seen=thread) is not None)


def _who_asked(thread: Thread, followed: FollowedRequest) -> str:
    """The name of whose comment ours answered: of its marker's key, else who opened the thread."""
    marker = marker_of(followed.comment.text)
    asked = next((one for one in thread.comments if marker is not None and one.id == marker.key), None)
    return asked.author_name if asked is not None else thread.author_name


def _close(context: BoardContext, repo: Repo, thread: Thread) -> None:
    """Close a thread in which a failure was reported, once all that it waited for has finished."""
    ended = context.index.find([one.path for one in _followed(context, thread)])
    finished = all(entry is not None and _has_finished(serializers.summary(context, entry)) for entry in ended)
    if finished and _is_report(context, thread):
        marker = context.marker("close", f"{repo.kind}/{repo.id} {thread.num}")
        context.effects.set_status(repo, thread.num, "closed", marker, asked=True)


def _has_finished(one: models.RequestSummaryView) -> bool:
    """Whether its evaluation has finished, and not only an earlier one."""
    return one.state == "finished" and not one.failed


def _is_report(context: BoardContext, thread: Thread) -> bool:
    """Whether our first answer in it was that to a report: it is about nothing else."""
    me = context.me()
    return any(
        (marker := marker_of(one.text)) is not None and marker.kind == "first"
        for one in thread.comments
        if is_by(me, one.author_id, one.author_name)
    )
