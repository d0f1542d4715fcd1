"""The rate limit of commands: how many one person may give within an hour, over all threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.core.context import BoardContext
from hub.records import Comment
from leaderboard.roles import Person

MAX_COMMANDS = 30
WINDOW_SECONDS = 3_600.0
MAX_AGE_SECONDS = 7 * 86_400
"""An older command that has no answer yet stays without one: its author does not expect it any more."""


@dataclass(frozen=True)
class TooFast:
    """The person has given `limit` commands within the window; in `seconds` the first of them leaves it.

    The first comment over the limit gets a reply. Further ones are ignored (`is_ignored`), or two bots would answer
    each other for ever.
    """

    limit: int
    seconds: float
    is_ignored: bool


def check_rate(context: BoardContext, person: Person, comment: Comment) -> TooFast | None:
    """Count the commands of `comment` once; None if `person` is within the limit. Two round trips to Redis.

    Times are those at which the bot read the comments: the Hub's clock may differ.
    Accepted: after Redis was lost every count starts at zero, and comments ignored within the last week are run.
    """
    ignored = context.keys.person(f"ignored {person.id}")
    was_ignored = bool(context.redis.sismember(ignored, comment.id))
    before, wait = _count(context, person, comment.id)
    if not was_ignored and before < MAX_COMMANDS:
        return None
    is_ignored = was_ignored or before > MAX_COMMANDS
    if is_ignored:
        with context.redis.pipeline() as pipe:
            pipe.sadd(ignored, comment.id)
            pipe.expire(ignored, MAX_AGE_SECONDS)
            pipe.zrem(_count_key(context, person), comment.id)
            pipe.execute()
    return TooFast(MAX_COMMANDS, wait, is_ignored=is_ignored)


def seconds_to_wait(context: BoardContext, person: Person, name: str) -> float:
    """Count an action that `person` asked for outside a thread, once by `name`; 0 if it is within the limit, else the
    seconds to wait. It shares the count with commands in threads, but every request over the limit gets an answer."""
    before, wait = _count(context, person, name)
    if before < MAX_COMMANDS:
        return 0.0
    context.redis.zrem(_count_key(context, person), name)
    return wait


def _count(context: BoardContext, person: Person, name: str) -> tuple[int, float]:
    """Count `name` once. Return how many came before it within the window, and the seconds until the first leaves."""
    key, now = _count_key(context, person), context.now()
    with context.redis.pipeline() as pipe:
        pipe.zremrangebyscore(key, "-inf", now - WINDOW_SECONDS)
        pipe.zadd(key, {name: now}, nx=True)
        pipe.expire(key, int(WINDOW_SECONDS))
        pipe.zrank(key, name)
        pipe.zrange(key, 0, 0, withscores=True)
        answers: list[Any] = pipe.execute()
    before, ((_, first), *_) = answers[3:]
    return int(before), max(60.0, float(first) + WINDOW_SECONDS - now)


def _count_key(context: BoardContext, person: Person) -> str:
    return context.keys.person(f"commands {person.id}")
