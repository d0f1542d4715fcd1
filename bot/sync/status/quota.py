"""What is left of the webhook's day for what we say: each of our writes in a thread comes back as a delivery.

The Hub grants so many deliveries a day, and half of them are for people's doings. The gate counts ours (`bot.effects`).
"""

from __future__ import annotations

from bot.desk import Desk
from hub.budget import HOUR
from hub.errors import RateLimited
from hub.records import Repo
from wire.echoes import OWN_SHARE, QUOTA


def left(desk: Desk, repo: Repo) -> float:
    """The share of our half that is left for today in the threads of `repo`, from 0 to 1. One round trip."""
    return desk.echoes.own_left("discussion", repo.id, now=desk.now()) / (QUOTA * OWN_SHARE)


def check(desk: Desk, repo: Repo, what: str) -> None:
    """Raises RateLimited where nothing is left for `what`, which has to be said: then it is later, not never."""
    if left(desk, repo) > 0:
        return
    words = f"Our half of the webhook's deliveries for today is spent; {what} is told later."
    raise RateLimited(words, seconds=HOUR - desk.now() % HOUR + 1.0, what="deliveries", status=None)
