"""Which threads the bot has opened, by title: so that looking for an earlier one costs a page, and not all pages.

The list of our own threads is read from the newest on, back to the newest one that was in it when it was read last;
what is in between is noted. The first look, and the first after Redis was lost, reads all of it.

Race closed: dead between opening a thread and noting it. The mark up to which the list is known moves only when the
list itself was read, so the next look finds the thread there.
Race accepted: two processes note different marks at once, and the older one stays. The next look reads a page more.
"""

from __future__ import annotations

from datetime import datetime

from bot.core.context import BoardContext
from hub.comments import Marker, find_marked, is_by
from hub.errors import ThreadNotFound
from hub.records import Comment
from redis_state.redis import Fields, text

Place = tuple[int, Comment]
"""Number of a thread, and the comment in it that carries our marker."""


def find_own(context: BoardContext, title: str, marker: Marker, path: str) -> Place | None:
    """Our thread of this title that carries `marker`, of the request at `path`; one call where there is none."""
    _read_on(context)
    key, me = context.keys.own_threads(context.requests.id), context.me()
    for member in context.redis.zrangebylex(key, f"[{title}\0", f"[{title}\0\xff"):
        number = int(text(member).rpartition("\0")[2])
        if context.index.of_thread(number) not in (None, path):
            continue  # known to be another request's
        try:
            thread = context.hub.thread(context.requests, number)
        except ThreadNotFound:
            context.redis.zrem(key, member)
            continue
        if (comment := find_marked(thread.comments[:1], marker, me)) is not None:
            return number, comment
    return None


def known_until(context: BoardContext) -> datetime | None:
    """When the newest of our threads that was in the list was opened, by the Hub's clock."""
    raw = context.redis.get(context.keys.own_threads_until(context.requests.id))
    return datetime.fromisoformat(text(raw)) if raw is not None else None


def _read_on(context: BoardContext) -> None:
    """Note what is new in the list of our threads."""
    me, until = context.me(), known_until(context)
    newest, found = until, dict[str, float]()
    for summary in context.hub.threads(context.requests, author=me.name, kind="discussion"):
        if until is not None and summary.created_at < until:
            break
        newest = summary.created_at if newest is None else max(newest, summary.created_at)
        if is_by(me, summary.author_id, summary.author_name):
            found[f"{summary.title}\0{summary.num}"] = 0.0
    repo = context.requests.id
    with context.redis.pipeline() as pipe:  # both or neither: a mark without what lies before it would hide a thread
        if found:
            members: Fields = dict(found)
            pipe.zadd(context.keys.own_threads(repo), members)
        if newest is not None:
            pipe.set(context.keys.own_threads_until(repo), newest.isoformat())
        pipe.execute()
