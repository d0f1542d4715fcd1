"""Measures the search for evidence for a flag among many models: seconds, and calls to the Hub.

    python -m benchmarks.flags [--models 50000] [--flags 500] [--json]

The board on a local Hub has the weights of many models in its index in Redis, and many flags in its flags repo. One
model is a copy of another with renamed files, and was made from a third; two hundred models of its author are flagged.
`seconds` is the time from the report to the evidence in Redis, the median of `rounds`; `calls` counts all requests to
the Hub. `first_seconds` is the same after Redis has lost the flags, so that their repo is read again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from localhub.testing import HubWorld, LocalHub

BOT = "hf_bot"
SHARDS = ("the first shard", "the second shard")
FLAGS = "board/flags"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=50_000)
    parser.add_argument("--flags", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    figures = measure(options)
    print(
        f"{figures['models']:,} models, {figures['flags']} flags: {figures['seconds']} s and {figures['calls']} calls"
    )
    print(f"with the flags read again: {figures['first_seconds']} s and {figures['first_calls']} calls")
    print(f"found: {', '.join(figures['codes'])}")
    if options.json:
        print(json.dumps(figures))


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures."""
    from bot.core.context import BoardContext
    from bot.probe import Probe
    from hub.client import Hub
    from leaderboard.boards import parse_board
    from leaderboard.suites import find_suite
    from redis_state import clock
    from redis_state.redis import connect
    from steward.valkey import Valkey

    with tempfile.TemporaryDirectory(prefix="steward-bench-") as name:
        folder, calls = Path(name), list[str]()
        with (
            LocalHub(folder / "hub", world(options.flags)) as hub,
            Valkey(folder / "valkey") as valkey,
            Probe() as probe,
            Hub(hub.url, BOT, on_call=lambda _, route: calls.append(route)) as client,
        ):
            board, redis = parse_board(BOARD), connect(valkey.url)
            context = BoardContext(board, find_suite("starter"), client, redis, clock.now, probe, folder / "mirrors")
            probe.load(b'{"model_type": "gpt2"}')
            fill(context, options.models)
            first, first_calls, _ = evidence(context, calls)
            rounds = [evidence(context, calls) for _ in range(options.rounds)]
            redis.close()
    return {
        "models": options.models,
        "flags": options.flags,
        "seconds": round(statistics.median(seconds for seconds, _, _ in rounds), 3),
        "calls": rounds[0][1],
        "first_seconds": round(first, 3),
        "first_calls": first_calls,
        "codes": rounds[0][2],
    }


def evidence(context: Any, calls: list[str]) -> tuple[float, int, list[str]]:
    """Gather the evidence of a report; return seconds, calls, and codes of findings."""
    from bot.flags.reports import FlagReport, drop_report, find_report, note_report, sync_evidence

    drop_report(context, "ada/copy")
    calls.clear()
    started = time.monotonic()
    note_report(context, FlagReport(model="ada/copy", at=started))
    sync_evidence(context, "ada/copy")
    seconds, report = time.monotonic() - started, find_report(context, "ada/copy")
    assert report is not None
    return seconds, len(calls), sorted({finding.code for finding in report.findings})


def fill(context: Any, count: int) -> None:
    """Fill the index with `count` models, including the original of the copy."""
    from leaderboard.request_paths import RequestPath
    from redis_state.board.entry import IndexEntry
    from redis_state.board.request_snapshot import RequestSnapshot

    def entry(model: str, weights: str) -> IndexEntry:
        org, _, name = model.partition("/")
        path = str(RequestPath(org, name, False, "float16", "Original"))
        standing = RequestSnapshot(status="FINISHED", revision="a" * 40, category="fine-tuned", time=1e9)
        return IndexEntry(path=path, model=model, state="settled", sha="a" * 40, weights=weights, standing=standing)

    digests = sorted(hashlib.sha256(shard.encode()).hexdigest() for shard in SHARDS)
    known = [entry("bob/original", hashlib.sha256("\n".join(digests).encode()).hexdigest())]
    known += [entry(f"org{n % 5_000}/model-{n}", hashlib.sha256(str(n).encode()).hexdigest()) for n in range(count - 1)]
    for at in range(0, count, 1_000):
        context.index.put(*known[at : at + 1_000])


def world(flags: int) -> HubWorld:
    """Return a world with three models and a repo with many flags."""

    def files(name: str, shards: tuple[str, ...], names: tuple[str, ...], base: str = "") -> dict[str, Any]:
        card = f"---\nlicense: mit\n{f'base_model: {base}' if base else ''}\n---\n# {name}\n"
        index = json.dumps({"weight_map": {f"layer.{n}": place for n, place in enumerate(names)}})
        usual = {"README.md": card, "model.safetensors.index.json": index, "config.json": "{}"}
        return usual | {path: {"lfs": shard} for path, shard in zip(names, shards, strict=True)}

    return (
        HubWorld()
        .user("steward-bot", BOT)
        .users({name: f"hf_{name}" for name in ("ada", "bob", "eve")})
        .org("board", {"steward-bot": "write"})
        .datasets("board/requests", "board/results", "board/logs")
        .repo("dataset", FLAGS, dict(records(flags)))
        .repo("space", "board/space", sdk="static")
        .repo("model", "bob/original", files("bob/original", SHARDS, ("model-1.safetensors", "model-2.safetensors")))
        .repo("model", "ada/copy", files("ada/copy", SHARDS, ("x.safetensors", "y.safetensors"), base="eve/base"))
        .repo("model", "eve/base", files("eve/base", ("one", "two"), ("model-1.safetensors", "model-2.safetensors")))
    )


def records(count: int) -> Iterator[tuple[str, str]]:
    """Yield flags, two hundred of them for models of one author."""
    from leaderboard.flags import FlagRecord

    for number in range(count):
        name = f"ada/model-{number}" if number < 200 else f"org{number}/model"
        record = FlagRecord(model=name, status="flagged", category="contamination", thread="https://hub/d/1")
        yield record.path, record.dump().decode()


BOARD = f"""
name: bench
title: Bench
suite: starter
effects: on
repos: {{requests: board/requests, results: board/results, logs: board/logs, community: board/space,
        details_namespace: board, flags: {FLAGS}}}
"""


if __name__ == "__main__":
    main()
