"""How many commands one person may give: so many within an hour, over all threads."""

from __future__ import annotations

from dataclasses import dataclass

from bot.desk import Desk
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


def may_go_on(desk: Desk, person: Person, comment: Comment) -> TooFast | None:
    """None where `person` may give the commands of `comment`, which then count once. One round trip.

    Times are those at which we read the comments: the Hub's clock may differ from ours.
    Accepted: after Redis was lost everybody begins anew, and what was ignored within a week is run.
    """
    key, ignored, now = desk.keys.person(f"commands {person.id}"), desk.keys.person(f"ignored {person.id}"), desk.now()
    with desk.redis.pipeline() as pipe:
        pipe.sismember(ignored, comment.id)
        pipe.zremrangebyscore(key, "-inf", now - WINDOW)
        pipe.zadd(key, {comment.id: now}, nx=True)
        pipe.expire(key, int(WINDOW))
        pipe.zrank(key, comment.id)
        pipe.zrange(key, 0, 0, withscores=True)
        was_ignored, _, _, _, rank, first = pipe.execute()
    if not was_ignored and (rank is None or rank < MOST):
        return None
    if rank > MOST or was_ignored:
        desk.redis.sadd(ignored, comment.id)
        desk.redis.expire(ignored, OLDEST)
        desk.redis.zrem(key, comment.id)
    return TooFast(MOST, max(60.0, first[0][1] + WINDOW - now), is_told=rank > MOST or bool(was_ignored))


def wait_of(desk: Desk, person: Person, name: str) -> float:
    """0 where `person` may have one more thing done, a command in all but its place, which then counts once by `name`;
    else the seconds to wait. It counts with those in threads; but whoever asks by a program is told each time."""
    key, now = desk.keys.person(f"commands {person.id}"), desk.now()
    with desk.redis.pipeline() as pipe:
        pipe.zremrangebyscore(key, "-inf", now - WINDOW)
        pipe.zadd(key, {name: now}, nx=True)
        pipe.expire(key, int(WINDOW))
        pipe.zrank(key, name)
        pipe.zrange(key, 0, 0, withscores=True)
        _, _, _, rank, first = pipe.execute()
    if rank is None or rank < MOST:
        return 0.0
    desk.redis.zrem(key, name)
    return max(60.0, float(first[0][1]) + WINDOW - now)
