"""The threads that the bot has opened, by title, so that a search for an earlier one reads one page and not all pages.

The list of the bot's threads is read from the newest back to the newest one of the last read, and the new ones are
stored. The first read, and the first after Redis was lost, reads the whole list.

Race closed: the bot dies between opening a thread and storing it. The time up to which the list is known advances only
when the list was read, so the next read finds the thread.
Race accepted: two processes store different times at once, and the older one stays. The next read costs a page more.
"""

from __future__ import annotations

from datetime import datetime

from bot.core.context import BoardContext
from hub.comments import Marker, find_marked, is_by
from hub.errors import Garbled, ThreadNotFound
from hub.records import Comment
from redis_state.redis import Fields, text

Place = tuple[int, Comment]
"""Number of a thread, and the comment in it that carries our marker."""


def find_own(context: BoardContext, title: str, marker: Marker, path: str) -> Place | None:
    """The bot's thread with this title and `marker`, of the request at `path`; one call if there is none."""
    _read_on(context)
    key, me = context.keys.own_threads(context.requests.id), context.me()
    for member in context.redis.zrangebylex(key, f"[{title}\0", f"[{title}\0\xff"):
        number = int(text(member).rpartition("\0")[2])
        if context.index.of_thread(number) not in (None, path):
            continue  # the thread of another request
        try:
            thread = context.hub.thread(context.requests, number)
        except ThreadNotFound as error:
            if _is_listed(context, number):  # else a second thread would be opened
                raise Garbled(f"The Hub lists discussion #{number}, and answers that there is none.") from error
            context.redis.zrem(key, member)
            continue
        if (comment := find_marked(thread.comments[:1], marker, me)) is not None:
            return number, comment
    return None


def _is_listed(context: BoardContext, number: int) -> bool:
    """Whether the bot's discussion `number` is in the Hub's list, which has the newest first. One call per page."""
    for summary in context.hub.threads(context.requests, author=context.me().name, kind="discussion"):
        if summary.num <= number:
            return summary.num == number
    return False


def known_until(context: BoardContext) -> datetime | None:
    """The time at which the newest thread in the stored list was opened, by the Hub's clock."""
    raw = context.redis.get(context.keys.own_threads_until(context.requests.id))
    return datetime.fromisoformat(text(raw)) if raw is not None else None


def _read_on(context: BoardContext) -> None:
    """Read the Hub's list of the bot's threads back to the newest known one, and store the new ones."""
    me, until = context.me(), known_until(context)
    newest, new = until, dict[str, float]()
    for summary in context.hub.threads(context.requests, author=me.name, kind="discussion"):
        if until is not None and summary.created_at < until:
            break
        newest = summary.created_at if newest is None else max(newest, summary.created_at)
        if is_by(me, summary.author_id, summary.author_name):
            new[f"{summary.title}\0{summary.num}"] = 0.0
    repo = context.requests.id
    with context.redis.pipeline() as pipe:  # a transaction: a time without the threads before it would hide them
        if new:
            members: Fields = dict(new)
            pipe.zadd(context.keys.own_threads(repo), members)
        if newest is not None:
            pipe.set(context.keys.own_threads_until(repo), newest.isoformat())
        pipe.execute()
