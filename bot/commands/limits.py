"""How many commands one person may give: so many within an hour, over all threads."""

from __future__ import annotations

from dataclasses import dataclass

from bot.desk import Desk
from hub.records import Comment
from leaderboard.roles import Person

MOST = 60
WINDOW = 3_600.0


@dataclass(frozen=True)
class TooFast:
    """The person has given `most` commands within the window; in `seconds` the first of them will have left it."""

    most: int
    seconds: float


def may_go_on(desk: Desk, person: Person, comment: Comment) -> TooFast | None:
    """None where `person` may give the commands of `comment`, which then count once. One round trip.

    Accepted: after Redis was lost everybody begins anew.
    """
    key, at = desk.keys.person(f"commands {person.id}"), comment.created_at.timestamp()
    with desk.redis.pipeline() as pipe:
        pipe.zremrangebyscore(key, "-inf", desk.now() - WINDOW)
        pipe.zadd(key, {comment.id: at})
        pipe.expire(key, int(WINDOW))
        pipe.zrank(key, comment.id)
        pipe.zrange(key, 0, 0, withscores=True)
        *_, rank, first = pipe.execute()
    if rank is None or rank < MOST:
        return None
    return TooFast(MOST, max(60.0, first[0][1] + WINDOW - desk.now()))
