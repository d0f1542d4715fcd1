"""A board on which every word that a stranger may choose is an attack."""

from __future__ import annotations

from typing import Any

import redis
from world_kit import entry, flag, put_flags

from bot.index import Index
from bot.scoreboard import Scoreboard, Scored
from leaderboard.attempts import Failure
from wire import clock
from wire.heartbeats import WorkerCard, Workers
from wire.keys import Keys

HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}"


def furnish_attacks(connection: redis.Redis, keys: Keys) -> None:
    """Fill the board."""
    index, now = Index(connection, keys), clock.now()
    bad = Failure(cause="odd", fault="unknown", message=HOSTILE, advice=HOSTILE)
    words = ("submitter", "licence", "category", "architecture", "base_model", "revision", "results")
    said: dict[str, Any] = {**dict.fromkeys(words, HOSTILE), "failure": bad, "log": "javascript:alert(1)"}
    said["causes"] = (f"{'a' * 12}-deadbeef-1:{HOSTILE}", f"report:{HOSTILE}")
    index.put(
        entry(HOSTILE, "settled", "FAILED", path=f"{HOSTILE}/failed.json", **said),
        entry(HOSTILE, "settled", "FINISHED", path=f"{HOSTILE}/done.json", number=1, **said),
        entry(HOSTILE, "waiting", "PENDING", path=f"{HOSTILE}/waits.json", attempt="x", number=2),
    )
    scored = Scored(path=f"{HOSTILE}/done.json", model=HOSTILE, suite="s", average=50.0)
    Scoreboard(connection, keys).put(scored)
    put_flags(connection, keys, flag(HOSTILE, reason=HOSTILE, thread="javascript:alert(1)"))
    card = WorkerCard(name=HOSTILE, tiers=("small",), devices=HOSTILE, versions={HOSTILE: HOSTILE}, since=now, beat=now)
    Workers(connection, keys).announce(card)
