"""The record of how reliable the webhooks are, from deliveries and from looks at the Hub, stored for the timer.

The rule that makes looks rarer is `leaderboard.look_rhythm`. Each look calls `note_look`, which checks whether a
delivery had reported the changes that the look found.

Race accepted: a look finds a change a moment before its delivery arrives. The webhooks then count as doubtful for a
while, which costs calls to the Hub and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any

import structlog

from bot.core.context import BoardContext
from bot.intake.deliveries import OWN, read_delivery
from bot.intake.inbox_log import InboxLog, StoredDelivery
from leaderboard.look_rhythm import WebhookRecord, look_seconds

log = structlog.get_logger()

CLOCKS_DIFFER = 10.0
"""Seconds by which the clocks of the web server and of a sync process may differ."""
MAX_READ = 2_000
"""The newest deliveries among which a look searches."""
_RELEVANT = ("requests", "flags", "thread", OWN)
_DOUBTED, _DELIVERED, _COMPLETE, _LOOKED = "webhooks doubted", "last delivery", "webhooks complete", "looked at"


def doubt_webhooks(context: BoardContext, why: str) -> None:
    """Note that the webhooks may not report every change: looks are frequent again until a delivery comes."""
    log.debug("webhooks are doubtful", why=why)
    context.redis.hset(context.keys.rounds, _DOUBTED, context.now())


def note_look(context: BoardContext, place: str, changed: Collection[str] = ()) -> None:
    """Note that a sync looked at `place` just now, and that these dirty keys have `changed` since its last look.

    If no delivery since that look reported one of them, the webhooks are doubtful.
    """
    last = last_look(context, place)
    context.redis.hset(context.keys.rounds, f"{_LOOKED} {place}", context.now())
    if not changed or last is None:
        return
    unreported = set(changed) - _reported(context, since=last - CLOCKS_DIFFER)
    if unreported:
        doubt_webhooks(context, f"no delivery reported a change of {sorted(unreported)[0]}")


def last_look(context: BoardContext, place: str) -> float | None:
    """When a sync last looked at `place`; None if none has."""
    return _time(context.redis.hget(context.keys.rounds, f"{_LOOKED} {place}"))


def note_check(context: BoardContext, *, are_complete: bool) -> None:
    """Note the result of a check of the webhooks: whether enabled ones cover everything that a look reads."""
    relevant = (delivery for delivery in islice(_log(context).newest(), MAX_READ) if delivery.verdict in _RELEVANT)
    newest = next(relevant, None)
    fields: dict[Any, Any] = {_COMPLETE: int(are_complete)}
    if newest is not None:
        fields[_DELIVERED] = newest.received
    context.redis.hset(context.keys.rounds, mapping=fields)


def seconds_between_looks(context: BoardContext) -> float:
    """The time from one look at the Hub to the next, by the present record of the webhooks."""
    doubted, delivered, complete = context.redis.hmget(context.keys.rounds, [_DOUBTED, _DELIVERED, _COMPLETE])
    record = WebhookRecord(complete == b"1", _time(doubted), _time(delivered))
    return look_seconds(record, longest=context.look_seconds, now=context.now())


def _reported(context: BoardContext, *, since: float) -> set[str]:
    """The keys that deliveries from `since` on are about, those of the bot's own comments included."""
    keys = set[str]()
    for stored in islice(_log(context).newest(), MAX_READ):
        if stored.received < since:
            break
        keys |= _keys_of(context, stored)
    return keys


def _keys_of(context: BoardContext, stored: StoredDelivery) -> set[str]:
    marks = read_delivery(stored.body, context.board).marks if stored.verdict == OWN else stored.marks
    return {mark.key for mark in marks}


def _log(context: BoardContext) -> InboxLog:
    return InboxLog(context.redis, context.keys)


def _time(raw: bytes | str | None) -> float | None:
    return None if raw is None else float(raw)
