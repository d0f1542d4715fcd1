"""How many commands one person may give: so many within an hour, over all threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.core.context import BoardContext
from hub.records import Comment
from leaderboard.roles import Person

MOST = 30
WINDOW = 3_600.0
OLDEST = 7 * 86_400
"""Seconds after which a command that nobody answered is left unanswered: whoever gave it does not wait any more."""


@dataclass(frozen=True)
class TooFast:
    """The person has given `most` commands within the window; in `seconds` the first of them will have left it.

    They are told once; what they write until then is ignored (`is_told`), or two bots would talk for ever.
    """

    most: int
    seconds: float
    is_told: bool


def may_go_on(context: BoardContext, person: Person, comment: Comment) -> TooFast | None:
    """None where `person` may give the commands of `comment`, which then count once. Two round trips.

    Times are those at which we read the comments: the Hub's clock may differ from ours.
    Accepted: after Redis was lost everybody begins anew, and what was ignored within a week is run.
    """
    ignored = context.keys.person(f"ignored {person.id}")
    was_ignored = bool(context.redis.sismember(ignored, comment.id))
    before, wait = _count(context, person, comment.id)
    if not was_ignored and before < MOST:
        return None
    is_told = was_ignored or before > MOST
    if is_told:
        with context.redis.pipeline() as pipe:
            pipe.sadd(ignored, comment.id)
            pipe.expire(ignored, OLDEST)
            pipe.zrem(_counted(context, person), comment.id)
            pipe.execute()
    return TooFast(MOST, wait, is_told=is_told)


def wait_of(context: BoardContext, person: Person, name: str) -> float:
    """0 where `person` may have one more thing done, a command in all but its place, which then counts once by `name`;
    else the seconds to wait. It counts with those in threads; but whoever asks by a program is told each time."""
    before, wait = _count(context, person, name)
    if before < MOST:
        return 0.0
    context.redis.zrem(_counted(context, person), name)
    return wait


def _count(context: BoardContext, person: Person, name: str) -> tuple[int, float]:
    """Count `name`, once; how many came before it within the window, and the seconds until the first of them left."""
    key, now = _counted(context, person), context.now()
    with context.redis.pipeline() as pipe:
        pipe.zremrangebyscore(key, "-inf", now - WINDOW)
        pipe.zadd(key, {name: now}, nx=True)
        pipe.expire(key, int(WINDOW))
        pipe.zrank(key, name)
        pipe.zrange(key, 0, 0, withscores=True)
        answers: list[Any] = pipe.execute()
    before, ((_, first), *_) = answers[3:]
    return int(before), max(60.0, float(first) + WINDOW - now)


def _counted(context: BoardContext, person: Person) -> str:
    return context.keys.person(f"commands {person.id}")
