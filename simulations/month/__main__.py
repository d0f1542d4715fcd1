"""A month in the life of a busy leaderboard, played from a seed at many times its speed, with real processes.

    python -m simulations.month [--seed 1] [--days 30] [--scale 0.1] [--speed 10] [--workers 2] [--soak] [--json]

localhub with the Hub's own limits, a queue server, a web server, two sync processes, the timer and workers run by a
clock that is faster than the real one (Debian's libfaketime). At `--scale 1` a month has 3,000 submissions by 400
people, a third of them bad in every way that admission knows, 200 failure reports, commands in bursts, 60 renames, 40
flags with pleas, outsiders' pull requests, restarts and rolling upgrades, processes killed, two Hub outages, a Redis
that loses everything, a benchmark that breaks, and a suite that changes. Each day's doings are pressed into `--hours`
hours; once all is quiet the clock jumps to the next morning. What evaluations find is recorded (`recorded`); all else
is what runs in production.

At the end the board is looked at as people see it: `findings` are what is wrong. Times are in played seconds, where
hours are pressed the waiting for a worker too. `--soak` repeats the month until it is stopped, with the next seed.
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
    """Play and print; exit status 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--scale", type=float, default=0.1, help="share of the people and of all that they do")
    parser.add_argument(
        "--hours", type=float, help="played hours that a day's doings take; by default 4 times the scale"
    )
    parser.add_argument("--speed", type=float, default=10.0, help="played seconds per real one")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--minutes", type=float, default=1e6, help="real ones, after which no other day begins")
    parser.add_argument("--soak", action="store_true", help="month after month, until something is wrong")
    parser.add_argument(
        "--folder", type=Path, help="where everything is kept; by default a temporary one that is removed"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    hours = options.hours or max(0.2, 4 * options.scale)
    scale = Scale(options.scale, options.days, hours, tenths=(10, 80))
    for seed in range(options.seed, options.seed + (10**6 if options.soak else 1)):
        with tempfile.TemporaryDirectory(prefix="steward-month-") as temporary:
            folder = (options.folder or Path(temporary)).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)  # the sandboxed child is another user
            found = play(
                write(seed, scale), folder, speed=options.speed, workers=options.workers, minutes=options.minutes
            )
        print("\n".join(table(found)))
        if options.json:
            print(json.dumps(found), flush=True)
        if found["findings"]:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
