"""Counts the commits, comments and API calls of 1,000 attempts from their submission to their end.

    python -m benchmarks.commits [--attempts 1000] [--workers 8] [--minutes 5] [--threads failures] [--whole] [--json]

Two boards get the same requests in one push; one in ten evaluations fails. Steward's board runs its real syncs, ledger
and schedule on a simulated clock, with `--workers` workers that evaluate for `--minutes` minutes each. The other board
is a backend that polls (`benchmarks.polling`). The local Hub counts the calls, commits and comments of each account;
those of people and workers do not count.

Polling reads every file of the board in every pass, so its calls grow with the square of the attempts. It runs at a few
small sizes, from which the figure at the large size is computed, and checked at one more; `--whole` runs it completely.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # documented to be there

from benchmarks.polling import Polling
from benchmarks.simulated_board import (
    BOT,
    DETAILS,
    FORM,
    GPU,
    LOGS,
    MODEL,
    POLLER,
    REQUESTS,
    RESULTS,
    SimulatedBoard,
    fails,
    path_of,
)
from localhub.testing import HubWorld, LocalHub

SIZES, CHECK = (10, 20, 30), 40


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attempts", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=5.0, help="simulated minutes of an evaluation")
    parser.add_argument("--threads", choices=("always", "failures", "never"), default="failures")
    parser.add_argument(
        "--whole", action="store_true", help="run the polling backend completely, however long it takes"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    disable_progress_bars()
    steward = measure_steward(options)
    template = measure_template(options.attempts, whole=options.whole)
    print(f"{options.attempts:,} attempts{'commits':>18}{'comments':>12}{'calls':>12}{'calls/attempt':>16}")
    for name, board_figures in (("steward", steward), ("template", template)):
        each = board_figures["calls"] / options.attempts
        print(
            f"{name:16}{board_figures['commits']:18,}{board_figures['comments']:12,}{board_figures['calls']:12,}{each:16,.1f}"
        )
    print(f"steward: {steward['hours']} hours by the simulated clock, {steward['most_commits_an_hour']} commits in the")
    print(f"         busiest hour of any repo, {steward['seconds']} s of real time")
    if template["computed_from"]:
        print(f"template: calls computed from runs of {template['computed_from']} attempts, exact at {CHECK}")
    if options.json:
        print(json.dumps({"attempts": options.attempts, "steward": steward, "template": template}))


# --- both boards


@contextmanager
def hub_with_requests(attempts: int) -> Iterator[Any]:
    """Start a local Hub with `attempts` waiting requests, pushed by the form in one commit."""
    from huggingface_hub import CommitOperationAdd, HfApi

    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder, LocalHub(Path(folder), world()) as hub:
        form = HfApi(hub.url, token=FORM)
        files = [CommitOperationAdd(path_of(number), request(number)) for number in range(attempts)]
        form.create_commit(REQUESTS, files, commit_message="Add requests", repo_type="dataset")
        hub.state.stats.reset()
        yield hub


def request(number: int) -> bytes:
    """Return a request file."""
    fields = {"model": MODEL, "base_model": "", "revision": "main", "precision": f"p{number}", "status": "PENDING"}
    more = {"weight_type": "Original", "submitted_time": f"2026-11-24T12:00:{number % 60:02}Z", "params": 0.1}
    return json.dumps({**fields, **more}, indent=2).encode()


def world() -> HubWorld:
    """Return a world with one board, one model, and the accounts."""

    config = json.dumps({"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]})
    return (
        HubWorld()
        .users({"steward-bot": BOT, "poller": POLLER, "form": FORM, "gpu": GPU, "ada": "hf_ada"})
        .org("board", {"steward-bot": "write", "poller": "write", "form": "write"})
        .org("board-details", {"gpu": "write"})
        .datasets(REQUESTS, RESULTS, LOGS, DETAILS)
        .repo("space", "board/space")
        .repo("model", MODEL, {"README.md": "# A model\n", "config.json": config, "model.safetensors": "x"})
    )


def spent(hub: Any, account: str) -> dict[str, int]:
    """Return the calls of `account` since the Hub's counters were reset, and how many were comments and commits."""
    calls = [call for call in hub.state.stats.read()["calls"] if call["account"] == account]
    comments = [call for call in calls if call["method"] == "POST" and "/discussions" in call["route"]]
    return {
        "calls": sum(call["count"] for call in calls),
        "comments": sum(call["count"] for call in comments),
        "commits": sum(call["count"] for call in calls if "/commit/" in call["route"] and call["status"] == 200),
    }


# --- the backend that polls


def measure_template(attempts: int, *, whole: bool) -> dict[str, Any]:
    """Return the figures of the polling backend, computed from small runs unless `whole`."""
    if whole or attempts <= CHECK:
        return {**run_template(attempts), "computed_from": []}
    runs = {size: run_template(size) for size in (*SIZES, CHECK)}

    def at(size: int) -> dict[str, int]:
        return {name: _through([(n, runs[n][name]) for n in SIZES], size) for name in runs[CHECK]}

    if at(CHECK) != runs[CHECK]:
        raise SystemExit(f"The polling backend does not grow as expected: {at(CHECK)} and {runs[CHECK]}.")
    return {**at(attempts), "computed_from": [*SIZES]}


def run_template(attempts: int) -> dict[str, int]:
    """Run the polling backend on `attempts` requests."""
    failing = frozenset(path_of(number) for number in range(attempts) if fails(number))
    with hub_with_requests(attempts) as hub, tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        Polling(hub.url, POLLER, REQUESTS, RESULTS, Path(folder), failing).run()
        return spent(hub, "poller")


def _through(points: Sequence[tuple[int, int]], at: int) -> int:
    """Return the value at `at` of the parabola through three points."""
    total = 0.0
    for n, value in points:
        share = 1.0
        for other, _ in points:
            share *= (at - other) / (n - other) if other != n else 1.0
        total += share * value
    return round(total)


# --- Steward


def measure_steward(options: argparse.Namespace) -> dict[str, Any]:
    """Return the figures of Steward."""
    from redis_state.logs import configure_logs
    from steward.valkey import Valkey

    configure_logs("error")
    started = time.monotonic()
    with (
        hub_with_requests(options.attempts) as hub,
        tempfile.TemporaryDirectory(prefix="steward-bench-") as folder,
        Valkey(Path(folder)) as valkey,
        listening() as address,
    ):
        watch(hub.url, address)
        stand = SimulatedBoard(hub, valkey.url, options, Path(folder))
        stand.publish()
        hub.state.stats.reset()
        hours = stand.run()
        stand.check()
        figures = {**spent(hub, "steward-bot"), "hours": round(hours, 1), "most_commits_an_hour": stand.busiest()}
        stand.close()
    return {**figures, "seconds": round(time.monotonic() - started, 1)}


@contextmanager
def listening() -> Iterator[str]:
    """Start a server that accepts deliveries, and yield its URL; without webhooks the bot reconciles more often."""

    class Taken(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taken)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def watch(hub_url: str, address: str) -> None:
    """Create the bot's webhooks: one for each repo and domain."""
    from hub.client import Hub
    from hub.records import WatchedItem

    with Hub(hub_url, BOT) as hub:
        for watched in (WatchedItem("dataset", REQUESTS), WatchedItem("space", "board/space")):
            for domain in ("repo", "discussion"):
                hub.ensure_webhook(f"{address}/{watched.type}/{domain}", [watched], [domain], "s3cret")


if __name__ == "__main__":
    main()
