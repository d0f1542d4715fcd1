"""Times the next request, positions and estimates, computed from the queue in Redis, for `benchmarks.fairness`."""

from __future__ import annotations

import argparse
import gc
import random
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

SIZES = {30: 0.15, 32: 0.4, 33: 0.8, 34: 1.5, 36: 4.0}
"""Mean hours of an evaluation by size class."""
SPREAD = 0.4
"""Standard deviation of the logarithm of an evaluation's duration."""
LOOKS = 40
"""Number of measurements of each figure."""


def evaluation_seconds(chance: random.Random, size: int) -> float:
    """Draw the seconds of an evaluation of a model in this size class."""
    return SIZES[size] * 3600 * chance.lognormvariate(-SPREAD * SPREAD / 2, SPREAD)


def speed(options: argparse.Namespace) -> dict[str, float]:
    """Return the median milliseconds of each query of the queue, from reading Redis to the answer."""
    from steward.valkey import Valkey

    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder, Valkey(Path(folder)) as server:
        context, entries = _context(server.url, options)
        return _timed(context, entries, options)


def _context(url: str, options: argparse.Namespace) -> tuple[Any, list[Any]]:
    from benchmarks.simulated_board import board_of
    from bot.core.context import BoardContext
    from hub.client import Hub
    from leaderboard.suites import find_suite
    from redis_state.board.entry import IndexEntry
    from redis_state.heartbeats import WorkerCard
    from redis_state.redis import connect

    options.attempts, options.threads = 1, "never"
    chance, now = random.Random(options.seed), time.time()
    context = BoardContext(
        board_of(options), find_suite("starter"), Hub("http://127.0.0.1:9", None), connect(url), now=time.time
    )
    entries = [
        IndexEntry(
            path=f"org-{number % 997}/model-{number}_eval_request_False_bfloat16_Original.json",
            state="waiting",
            attempt=f"{number:012x}-aaaaaaaa-1",
            submitter=f"s{chance.randrange(options.submitters)}",
            submitted=now - chance.uniform(0, 1e6),
            size=chance.choice(list(SIZES)),
            place=number + 1,
        )
        for number in range(options.waiting)
    ]
    for at in range(0, len(entries), 1_000):
        context.index.put(*entries[at : at + 1_000])
    for size in SIZES:
        for _ in range(60):
            context.measures.learn("", size, evaluation_seconds(chance, size))
    for number in range(options.workers):
        context.workers.announce(WorkerCard(name=f"w{number}", tiers=("all",), since=now, beat=now))
    return context, entries


def _timed(context: Any, entries: list[Any], options: argparse.Namespace) -> dict[str, float]:
    from bot.read_models.queue_snapshot import take_snapshot
    from leaderboard.dispatch import choose

    chance = random.Random(options.seed)
    take_snapshot(context).outlook(entries[0].path)
    gc.freeze()  # keeps the objects of this measurement out of garbage collection, as in a real process
    times: dict[str, list[float]] = defaultdict(list)

    def timed(name: str, ask: Any) -> Any:
        started = time.perf_counter()
        answer = ask()
        times[name].append(1_000 * (time.perf_counter() - started))
        return answer

    def next_to_run() -> Any:
        snapshot = take_snapshot(context)
        return choose(snapshot.turns, snapshot.running, snapshot.conditions)

    for _ in range(LOOKS):
        for name, ask in {
            "next_ms": lambda _: next_to_run(),
            "position_ms": lambda path: take_snapshot(context).positions[path],
            "estimate_ms": lambda path: take_snapshot(context).outlook(path),
        }.items():
            entry = chance.choice(entries)
            changed = chance.choice(entries)
            context.index.put(changed.model_copy(update={"submitted": time.time()}))
            timed(name, lambda ask=ask, entry=entry: ask(entry.path))
        timed("again_ms", lambda entry=entry: take_snapshot(context).outlook(entry.path))
    return {name: round(median(durations), 1) for name, durations in times.items()}
