"""Measures the pages of a large board: milliseconds on the server, and kB of each page.

    python -m benchmarks.pages [--rows 100000] [--rounds 60] [--json]

The application runs in this process on a board of `--rows` requests, most of them finished with scores, a tenth
waiting, and answers over ASGI, without network and browser. Each round asks for another variant of each page (other
pages of a list, other words, other models), so that few answers come from a cache. `first_ms` is the first answer of a
kind, `p50` and `p95` are of the following ones; `cpu p50` and `cpu p95` are processor time of this process alone. The
targets are 50 ms and 100 kB. `ready_s` is the time that the application needs to load table and queue when it starts,
`memory_mb` the largest resident memory of a process that does nothing else.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
import redis

from benchmarks.board import BENCHMARKS, fill, model_of, path_of
from bot.core.settings import BotSettings
from bot.processes.web_app import WebApp, create_app
from leaderboard.categories import ModelCategory
from redis_state.keys import Keys
from steward.valkey import Valkey

BOARD = """
name: bench
title: A large board
suite: starter
repos: {requests: board/requests, results: board/results, logs: board/logs, community: board/space,
        details_namespace: board-details}
"""
BARS = {"p95": 50.0, "kb": 100.0}
WORDS = ("Qwen3", "llama-3", "gemma; phi", "Hub License: mit", "Type: merge; Average: >= 30", "70b; Hub License: gemma")
"""Search terms; a number makes each query different."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    figures = measure(options.rows, options.rounds)
    print(f"{'':>16}{'first ms':>10}{'p50':>8}{'p95':>8}{'cpu p50':>9}{'cpu p95':>9}{'kB':>8}")
    for name, page_figures in figures["pages"].items():
        print(
            f"{name:>16}{page_figures['first_ms']:10.1f}{page_figures['p50']:8.1f}{page_figures['p95']:8.1f}{page_figures['cpu_p50']:9.1f}{page_figures['cpu_p95']:9.1f}{page_figures['kb']:8.1f}"
        )
    print(f"{'target':>16}{'':10}{'':8}{BARS['p95']:8.1f}{'':18}{BARS['kb']:8.1f}")
    print(f"ready after {figures['ready_s']} s, {figures['rows']:,} rows, {figures['memory_mb']} MB")
    if options.json:
        print(json.dumps(figures))


def measure(rows: int, rounds: int) -> dict[str, Any]:
    """Return the figures of a board with `rows` requests."""
    with board(rows) as settings:
        ready, pages = asyncio.run(ask(create_app(settings), rows, rounds))
        over = [
            name
            for name, page_figures in pages.items()
            if any(page_figures.get(what, 0) > bar for what, bar in BARS.items())
        ]
        figures = {"rows": rows, "rounds": rounds, "pages": pages, "over": over}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {**figures, "ready_s": round(ready, 1), "memory_mb": round(peak)}


@contextmanager
def board(rows: int) -> Iterator[BotSettings]:
    """Start a queue server with a board of `rows` requests."""
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder, Valkey(Path(folder) / "valkey") as valkey:
        with redis.Redis.from_url(valkey.url) as client:
            fill(client, Keys("bench"), rows)
        file = Path(folder) / "board.yaml"
        file.write_text(BOARD)
        yield BotSettings(redis_url=valkey.url, board=file, webhook_secret="s3cret", port=0)


async def ask(app: WebApp, rows: int, rounds: int) -> tuple[float, dict[str, dict[str, float]]]:
    """Return the seconds until the table is ready, and the figures of every kind of page."""
    dice = random.Random(11)
    pages = {}
    transport = httpx2.ASGITransport(app=app)
    client = httpx2.AsyncClient(transport=transport, base_url="http://bench", timeout=600)
    began = time.monotonic()
    async with app.router.lifespan_context(app), client:
        for thread in threading.enumerate():
            if thread.name == "warm":
                await asyncio.to_thread(thread.join)
        ready = time.monotonic() - began
        for name, address in kinds(dice, rows).items():
            times, sizes, cpu = [], [], []
            for _ in range(rounds + 1):
                target = address()
                began, worked = time.perf_counter(), time.process_time()
                answer = await client.get(target)
                times.append(1e3 * (time.perf_counter() - began))
                cpu.append(1e3 * (time.process_time() - worked))
                assert answer.status_code == 200, (target, answer.status_code)
                sizes.append(len(answer.content))
            first, rest = times[0], sorted(times[1:])
            pages[name] = {
                "first_ms": round(first, 1),
                "p50": round(statistics.median(rest), 1),
                "p95": round(rest[int(0.95 * (len(rest) - 1))], 1),
                "cpu_p50": round(statistics.median(cpu[1:]), 1),
                "cpu_p95": round(sorted(cpu[1:])[int(0.95 * (len(cpu) - 2))], 1),
                "kb": round(max(sizes) / 1e3, 1),
            }
    return ready, pages


def kinds(dice: random.Random, rows: int) -> dict[str, Callable[[], str]]:
    """Map each kind of page to a function that returns a URL of that kind."""
    return {
        "leaderboard": lambda: "/",
        "leaderboard, deep": lambda: f"/?page={dice.randrange(1, rows // 120)}",
        "leaderboard, sorted": lambda: (
            f"/?sort={dice.choice(BENCHMARKS).replace(' ', '%20')}&page={dice.randrange(99)}"
        ),
        "leaderboard, found": lambda: f"/?q={_words(dice)}",
        "filter": lambda: f"/api/leaderboard?{_filters(dice)}",
        "filter, found": lambda: f"/api/leaderboard?{_filters(dice)}&q={_words(dice)}",
        "suggestions": lambda: f"/api/suggestions?q={dice.choice('abcdeghlmq')}{dice.choice('aeiou')}",
        "queue": lambda: "/queue",
        "queue, deep": lambda: f"/queue?after={dice.randrange(rows // 12)}",
        "requests": lambda: f"/requests?page={dice.randrange(1, rows // 60)}",
        "requests, found": lambda: f"/requests?q={dice.choice(WORDS).replace(' ', '%20')};{dice.randrange(100)}b",
        "nothing found": lambda: f"/requests?q=Qwen3-{dice.randrange(10**6)}b-Instrukt",
        "request": lambda: f"/requests/{path_of(dice.randrange(rows))}",
        "model": lambda: f"/models/{model_of(dice.randrange(rows))}",
        "badge": lambda: f"/badges/{model_of(dice.randrange(rows))}.svg",
        "plots": lambda: f"/plots?{_plotted(dice)}&page={dice.randrange(1, 20)}",
        "plot": lambda: f"/charts/plots/{dice.choice(('parameters', 'time'))}.svg?{_plotted(dice)}",
        "flags": lambda: "/flags",
        "workers": lambda: "/workers",
        "decisions": lambda: "/decisions",
        "times": lambda: "/times",
        "queue.json": lambda: "/api/queue.json",
        "api/results": lambda: f"/api/results?page={dice.randrange(1, rows // 160)}",
    }


def _words(dice: random.Random) -> str:
    return f"{dice.choice(WORDS)}; Average: <= {dice.uniform(20, 90):.2f}".replace(" ", "%20").replace(";", "%3B")


def _filters(dice: random.Random) -> str:
    columns = dice.sample(BENCHMARKS, dice.randrange(2, len(BENCHMARKS)))
    fields = {
        "type": dice.sample([category.value for category in ModelCategory], 3),
        "smallest": [str(dice.randrange(30))],
        "largest": [str(dice.randrange(31, 70))],
        "merges": [dice.choice("01")],
        "moe": [dice.choice("01")],
        "official": [dice.choice("0001")],
        "per": [dice.choice(("model", "evaluation"))],
        "sort": [dice.choice((*BENCHMARKS, "likes", "uploaded", "model", "average"))],
        "column": [*columns, "average", "model", "rank"],
    }
    return urlencode(fields, doseq=True)


def _plotted(dice: random.Random) -> str:
    return urlencode({"by": dice.choice(("parameters", "time")), "type": dice.choice(["", *ModelCategory])})


if __name__ == "__main__":
    main()
