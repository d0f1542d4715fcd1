"""Random waits and durations of a board's evaluations in a quarter of a year, from a seed."""

from __future__ import annotations

import random

import redis

from leaderboard.attempts import Fault
from leaderboard.timings import DAY, SLOT, day_of
from redis_state.board.timings import Timings
from redis_state.keys import Keys

KINDS = (
    ("small", "bfloat16", 8, 2_400.0, 2_100.0),
    ("small", "float16", 5, 2_600.0, 1_900.0),
    ("small", "4bit", 1, 3_100.0, 3_600.0),
    ("medium", "bfloat16", 3, 9_500.0, 9_000.0),
    ("medium", "8bit", 1, 11_000.0, 15_000.0),
    ("large", "bfloat16", 1, 70_000.0, 31_000.0),
    ("large", "GPTQ", 1, 55_000.0, 40_000.0),
)
"""Tier, precision, number a day, usual seconds of waiting and of running."""
FAULTS: tuple[Fault, ...] = ("submission", "submission", "submission", "us", "hub", "unknown")


def count(connection: redis.Redis, keys: Keys, *, now: float, days: int = 90, seed: int = 7, every: int = 8) -> None:
    """Store waits and durations of the last `days` days, and the queue in every `every`th slot except on two days."""
    chance, timings = random.Random(seed), Timings(connection, keys)
    today, number = day_of(now), 0
    for day in range(today - days + 1, today + 1):
        at = min(now, day * DAY + 43_200)
        busy = 0.4 + 0.6 * chance.random() + (0.8 if day % 7 in (1, 2) else 0)
        for tier, precision, many, wait, run in KINDS:
            for _ in range(round(many * busy * chance.uniform(0.5, 1.5))):
                number += 1
                attempt, what = f"{number:012x}-deadbeef-1", {"tier": tier, "precision": precision, "now": at}
                timings.waited(attempt, wait * chance.lognormvariate(0, 0.9), **what)  # type: ignore[arg-type]
                if chance.random() < 0.15:
                    timings.ended(attempt, chance.choice(FAULTS), **what)  # type: ignore[arg-type]
                else:
                    timings.ended(attempt, "finished", seconds=run * chance.lognormvariate(0, 0.4), **what)  # type: ignore[arg-type]
        if day in (today - 12, today - 11):
            continue
        for slot in range(0, int(DAY / SLOT), every):
            if day * DAY + slot * SLOT <= now:
                waiting = max(0.0, 30 * busy + chance.gauss(0, 4))
                timings.sample(waiting=int(waiting), running=min(6, int(waiting / 2)), now=day * DAY + slot * SLOT + 1)
