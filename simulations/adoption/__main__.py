"""Simulates the adoption of an existing board: a week in shadow, then each effect switched on.

    python -m simulations.adoption [--requests 20000] [--threads 3000] [--days 7] [--seed 1] [--json]

A local Hub gets a board with a history: requests and results of two generations, flags in a dictionary, threads.
`steward adopt` and the first `steward sync` are real processes. Then a simulated clock runs: for some days the bot is
in shadow, while people submit, report, ask and appeal, and the old backend continues. That backend stops, and `steward
effects set` switches each kind of effect on. The simulation compares everything that the bot wrote on the Hub, its
list of shadowed effects, and the requests of people. The exit status is 1 if

    the bot wrote anything in shadow
    it changed anything old without a request, or mentioned a person who had done nothing since the adoption
    its list differs from its later effects
    a person who asked got no answer
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any


def main() -> None:
    """Measure, check and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--threads", type=int, default=3_000)
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]  # documented to be there

    from redis_state.logs import configure_logs
    from simulations.adoption.run import simulate

    disable_progress_bars()
    configure_logs("error")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        figures = simulate(Path(folder), options)
    print_all(figures)
    print(f"{time.monotonic() - started:.0f} s of real time")
    if options.json:
        print(json.dumps(figures))
    sys.exit(bool(figures["wrong"]))


def print_all(figures: dict[str, Any]) -> None:
    """Print the figures as a table."""
    print(f"{'':24}{'seconds':>10}{'calls':>10}{'memory MB':>12}")
    for name, step in figures["steps"].items():
        memory = f"{step['memory_mb']:12,.0f}" if "memory_mb" in step else ""
        print(f"{name:24}{step['seconds']:10,.1f}{step['calls']:10,}{memory}")
    for name in ("listed", "overtaken", "done", "followed"):
        counts = Counter(kind for kind, *_ in figures[name])
        print(f"{name.replace('_', ' '):12}" + ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items())))
    print(f"asked for {figures['asked']}, answered {figures['answered']}, too long ago {figures['too_late']}")
    for wrong in figures["wrong"]:
        print(f"wrong: {wrong}")


if __name__ == "__main__":
    main()
