"""Simulates a month of a busy leaderboard from a seed, faster than real time, with real processes.

    python -m simulations.month [--seed 1] [--days 30] [--scale 0.1] [--speed 10] [--workers 2] [--soak] [--json]

localhub with the Hub's own limits, a queue server, a web server, two sync processes, the timer and workers run with an
accelerated clock (Debian's libfaketime). At `--scale 1` a month has 3,000 submissions by 400 people, a third of them
refusable in every way that admission checks, 200 failure reports, bursts of commands, 60 renames, 40 flags with
appeals, outsiders' pull requests, restarts and rolling upgrades, killed processes, two Hub outages, a Redis that loses
its data, a benchmark that breaks, and a suite that changes. Each day's actions are compressed into `--hours` hours;
once no work is left, the clock jumps to the next morning. A scripted harness replaces the evaluations; everything else
is production code.

At the end, the board is inspected as people see it: `findings` lists what is wrong. Times are in simulated seconds;
with compressed hours, waits for a worker are compressed too. `--soak` repeats the month with further seeds until
stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from simulations.month.run import play
from simulations.month.schedule import Scale, write
from simulations.month.statistics_table import table


def main() -> int:
    """Run and print; return 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--scale", type=float, default=0.1, help="share of the people and of their actions")
    parser.add_argument("--hours", type=float, help="simulated hours of a day's actions; by default 4 times the scale")
    parser.add_argument("--speed", type=float, default=10.0, help="simulated seconds per real second")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--own-evaluator", action="store_true", help="a program of its own evaluates, not lm-eval")
    parser.add_argument("--minutes", type=float, default=1e6, help="real minutes after which no other day starts")
    parser.add_argument("--soak", action="store_true", help="repeat the month until there are findings")
    parser.add_argument("--folder", type=Path, help="folder for all data; by default a temporary one that is removed")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    hours = options.hours or max(0.2, 4 * options.scale)
    scale = Scale(options.scale, options.days, hours, tenths=(10, 80))
    for seed in range(options.seed, options.seed + (10**6 if options.soak else 1)):
        with tempfile.TemporaryDirectory(prefix="steward-month-") as temporary:
            folder = (options.folder or Path(temporary)).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)  # the sandboxed child runs as another user
            figures = play(
                write(seed, scale),
                folder,
                speed=options.speed,
                workers=options.workers,
                minutes=options.minutes,
                own_evaluator=options.own_evaluator,
            )
        print("\n".join(table(figures)))
        if options.json:
            print(json.dumps(figures), flush=True)
        if figures["findings"]:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
