"""Measures `steward --help` and a few other commands without calls to services.

    python -m benchmarks.commandline [--rounds 20] [--json]

Each command runs `--rounds` times, after two runs that warm the disk's cache. The time is that of the whole process;
the least of them is its cost on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BAR = 300.0
"""Target in milliseconds for the help."""
COMMANDS = (("--help",), ("check", "--help"), ("effects", "--help"))
WARM_UP = 2


def main() -> int:
    """Measure and print; return 1 if the help misses its target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    by_command = {f"steward {' '.join(words)}": measure(words, options.rounds) for words in COMMANDS}
    print(f"{'milliseconds':28}{'least':>10}{'median':>10}{'most':>10}{'processor':>12}")
    for name, figures in by_command.items():
        print(f"{name:28}" + "".join(f"{figures[word]:10.0f}" for word in ("least", "median", "most")), end="")
        print(f"{figures['processor']:12.0f}")
    if options.json:
        print(json.dumps({"bar": BAR, "commands": by_command}))
    return int(by_command["steward --help"]["median"] > BAR)


def measure(words: tuple[str, ...], rounds: int) -> dict[str, float]:
    """Return the milliseconds of one command: least, median, most, and the median of its processor time."""
    command = [str(Path(sys.executable).with_name("steward")), *words]
    walls, processors = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(WARM_UP + rounds):
            began, before = time.perf_counter(), os.times()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
            ended, after = time.perf_counter(), os.times()
            if number >= WARM_UP:
                walls.append(1e3 * (ended - began))
                processors.append(1e3 * sum(after[2:4]) - 1e3 * sum(before[2:4]))
    return {
        "least": round(min(walls), 1),
        "median": round(statistics.median(walls), 1),
        "most": round(max(walls), 1),
        "processor": round(statistics.median(processors), 1),
    }


if __name__ == "__main__":
    sys.exit(main())
