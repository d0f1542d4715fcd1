"""Threads that follow a request: the bot reports the end of its evaluation in one comment, to the person who asked.

A hidden marker `follow` in the bot's own comment says that its thread follows a request. It has the request's path,
the blob id of its file and a digest of its state at that time. So it survives the loss of Redis; the set in Redis only
says which threads to sync when a request ends. A request that had failed can be followed too: it ends again when it was
evaluated again, not when a person changes a field of its file. A request that a rename moved is followed at its new
path.

Race accepted: after Redis was lost, a closed thread is not read until a person writes in it, so its report comes late
or never. Open threads are read in turn.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot.core.context import BoardContext, thread_key
from bot.core.render import Safe, render
from bot.core.waiting_threads import is_waiting
from bot.read_models import models, serializers
from hub.comments import Marker, find_marked, is_by, marker_of
from hub.records import Comment, Repo, Thread
from leaderboard.rename_contents import request_place
from redis_state.board.entry import IndexEntry
from redis_state.dirty import SyncPriority
from redis_state.redis import text

FOLLOW, ENDED = "follow", "ended"
ENDS = ("finished", "failed", "cancelled")
MAX_RENAMES = 5
"""Renames of one model that are followed."""


@dataclass(frozen=True)
class FollowedRequest:
    """One request that a thread follows, by the marker in `comment`.

    `oid` is the blob id of the request's file when `comment` was written, `state_digest` the digest of its state then.
    """

    path: str
    oid: str
    state_digest: str
    comment: Comment


def follow(context: BoardContext, entry: IndexEntry, repo: Repo, number: int) -> Safe:
    """Make the thread follow `entry`; return the hidden line that the bot's comment about it must hold."""
    context.redis.sadd(context.keys.followers(entry.path), thread_key(repo, number))
    return Safe(str(_marker(context, entry)))


def _marker(context: BoardContext, entry: IndexEntry) -> Marker:
    return context.marker(FOLLOW, f"{entry.file_oid or '-'}.{_state_digest(entry)} {entry.path}")


def _state_digest(entry: IndexEntry) -> str:
    """A digest of the number of attempts, the end and the newest reopening, from the file, so the same after Redis was
    lost.

    A relaunch that is refused again before an attempt begins changes only the reopening.
    """
    reopening = "".join(entry.standing.causes[-1:])
    return _digest(f"{_attempts_and_end(entry)} {reopening}")


def _former_state_digest(entry: IndexEntry) -> str:
    """The digest that markers of earlier versions have. It never equals a `_state_digest`."""
    return _digest(_attempts_and_end(entry))


def _attempts_and_end(entry: IndexEntry) -> str:
    snapshot = entry.standing
    cause = snapshot.failure.cause if snapshot.failure is not None else ""
    return f"{entry.used or 0} {snapshot.status} {cause}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def mark_followers(context: BoardContext, path: str) -> None:
    """Mark the threads that follow the request at `path`, which has ended or is gone, and remove them from Redis.

    A thread that still waits adds itself in its sync; one that was deleted does not. One round trip without followers.
    """
    followers = context.keys.followers(path)
    keys = [text(key) for key in context.redis.smembers(followers)]
    if keys:
        context.mark_all(keys, SyncPriority.PERSON)
        context.redis.srem(followers, *keys)  # last: after a crash before this line, the next sync marks them again


def report_ends(context: BoardContext, repo: Repo, thread: Thread) -> int:
    """Report in `thread` the end of each request that it follows, once; return the number of comments posted."""
    posted, open_ends, key = 0, False, thread_key(repo, thread.num)
    for followed, entry in _with_entries(context, _followed(context, thread)):
        if entry is not None and not _has_ended(context, entry, followed):
            context.redis.sadd(context.keys.followers(entry.path), key)
            open_ends = True
            continue
        if entry is not None:
            posted += _tell(context, repo, thread, followed, entry)
        context.redis.srem(context.keys.followers(entry.path if entry is not None else followed.path), key)
    if posted and not open_ends:
        _close(context, repo, thread)
    return posted


def _with_entries(
    context: BoardContext, follows: Iterable[FollowedRequest]
) -> list[tuple[FollowedRequest, IndexEntry | None]]:
    """Each of `follows` with its entry, which a rename may have moved to another path; None for one that is gone."""
    waits_for = list(follows)
    entries = context.index.find([followed.path for followed in waits_for])
    return [
        (followed, entry if entry is not None else _renamed_entry(context, followed.path))
        for followed, entry in zip(waits_for, entries, strict=True)
    ]


def _renamed_entry(context: BoardContext, path: str) -> IndexEntry | None:
    """The entry of the request that was at `path` before renames of its model; None if there is none."""
    for _ in range(MAX_RENAMES):
        model = path.partition("_eval_request_")[0]
        new = context.index.renamed(model)
        path = request_place(model, new, path) if new else ""
        entry = context.index.find([path])[0] if path else None
        if entry is not None or not path:
            return entry
    return None


def _followed(context: BoardContext, thread: Thread) -> Iterator[FollowedRequest]:
    me = context.me()
    for comment in thread.comments:
        if not is_by(me, comment.author_id, comment.author_name):
            continue
        for line in comment.text.splitlines()[1:]:
            marker = marker_of(line)
            if marker is not None and (marker.board, marker.kind) == (context.board.name, FOLLOW):
                state, _, path = marker.key.partition(" ")
                oid, _, state_digest = state.partition(".")
                yield FollowedRequest(path, oid, state_digest, comment)


def _has_ended(context: BoardContext, entry: IndexEntry, followed: FollowedRequest) -> bool:
    same_state = (_state_digest(entry), _former_state_digest(entry))
    has_changed = (entry.file_oid or "-") != followed.oid and followed.state_digest not in same_state
    return has_changed and entry.state == "settled" and serializers.summary(context, entry).state in ENDS


def _tell(context: BoardContext, repo: Repo, thread: Thread, followed: FollowedRequest, entry: IndexEntry) -> int:
    marker = context.marker(ENDED, f"{followed.comment.id} {followed.path}")
    if find_marked(thread.comments, marker, context.me()) is not None:
        return 0
    is_here = (repo, thread.num) == (context.requests, entry.thread)
    body = render("ended", request=serializers.request(context, entry), name=_asker(thread, followed), is_here=is_here)
    return int(context.effects.comment(repo, thread.num, body, marker, asked=True, seen=thread) is not None)


def _asker(thread: Thread, followed: FollowedRequest) -> str:
    """The author of the comment that the bot's comment answers (its marker's key), else of the thread."""
    marker = marker_of(followed.comment.text)
    question = next((comment for comment in thread.comments if marker is not None and comment.id == marker.key), None)
    return question.author_name if question is not None else thread.author_name


def _close(context: BoardContext, repo: Repo, thread: Thread) -> None:
    """Close a thread that reported a failure and waits for no maintainer, once all requests that it follows have
    finished."""
    follows = _with_entries(context, _followed(context, thread))
    finished = all(entry is not None and _has_finished(serializers.summary(context, entry)) for _, entry in follows)
    if finished and any(_is_report(followed) for followed, _ in follows) and not is_waiting(context, repo, thread.num):
        marker = context.marker("close", f"{repo.kind}/{repo.id} {thread.num}")
        context.effects.set_status(repo, thread.num, "closed", marker, asked=True)


def _has_finished(request: models.RequestSummaryView) -> bool:
    """Whether the newest evaluation has finished, and not only an earlier one."""
    return request.state == "finished" and not request.failed


def _is_report(followed: FollowedRequest) -> bool:
    """Whether the thread follows the request since the bot's first answer, which answered a failure report."""
    marker = marker_of(followed.comment.text)
    return marker is not None and marker.kind == "first"
