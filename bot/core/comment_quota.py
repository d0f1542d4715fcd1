"""How many more comments the bot may write today without using up the webhook's daily quota.

Each comment of the bot comes back as a webhook delivery, and the Hub grants a limited number of deliveries a day. Half
of them are reserved for what people do. `bot.core.guarded_writes` counts the bot's own.
"""

from __future__ import annotations

from bot.core.context import BoardContext
from hub.budget import HOUR
from hub.errors import RateLimited
from hub.records import Repo
from redis_state.webhook_quota import OWN_SHARE, QUOTA


def left(context: BoardContext, repo: Repo) -> float:
    """The share of the bot's half that is left today for the threads of `repo`, from 0 to 1. One round trip."""
    return context.webhook_quota.own_left("discussion", repo.id, now=context.now()) / (QUOTA * OWN_SHARE)


def check(context: BoardContext, repo: Repo, subject: str) -> None:
    """Raise RateLimited if nothing is left today, so that the sync updates `subject` later."""
    if left(context, repo) > 0:
        return
    message = f"The bot's half of the webhook's deliveries for today is used up; {subject} is updated later."
    raise RateLimited(message, seconds=HOUR - context.now() % HOUR + 1.0, what="deliveries", status=None)
