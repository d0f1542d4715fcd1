"""The rows of a few questions in a table of answers that another worker published.

Such a table is an untrusted file: it may grow without limit when it is read, or attack its reader. So a process without
tokens opens it (`workers.jobs.table_process`). A table that is not what `workers.publication.details` writes raises
TableRefused, which counts against its author. Otherwise a worker could escape a cross-check by a table that only the
bot, which reads other columns, is able to read.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from workers.errors import TableNotRead, TableRefused
from workers.jobs.table_process import READY, WantedRows
from workers.publication.details import CUT, MAX_TEXT, TEXTS

PASSED_VARIABLES = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "LD_LIBRARY_PATH")
"""Variables that the process gets from this one's environment, and no others: some hold tokens."""
WALL_SECONDS = 600.0


def published_rows(table: Path, numbers: Collection[int]) -> list[dict[str, Any]]:
    """The rows of the questions with these `numbers` in `table`. Raises TableRefused and TableNotRead."""
    environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    # Arrow's other pools of memory reserve more addresses than the process may have.
    environment |= {"OMP_NUM_THREADS": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"}
    command = [sys.executable, "-m", "workers.jobs.table_process", str(table)]
    wanted = WantedRows(sorted(numbers), TEXTS, MAX_TEXT + len(CUT)).to_json()
    try:
        done = subprocess.run(command, input=wanted, capture_output=True, env=environment, timeout=WALL_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TableNotRead(f"a published table could not be read: {type(error).__name__}") from error
    return _rows_in(done)


def _rows_in(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    """The rows that the process wrote. Raises TableRefused and TableNotRead."""
    # The machine sends SIGKILL if it has too little memory. Any other end of a process at work is the table's fault.
    if not done.stdout.startswith(READY) or done.returncode == -signal.SIGKILL:
        words = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise TableNotRead(f"the process that reads published tables ended with {done.returncode}: {words}")
    if done.returncode == -signal.SIGXCPU:
        raise TableRefused("its table of answers takes too much time to read")
    if done.returncode != 0:
        raise TableRefused(f"its table of answers ends the process that reads it (status {done.returncode})")
    *rows, end = map(json.loads, done.stdout.removeprefix(READY).splitlines())
    if end:
        raise TableRefused(f"its table of answers {end}")
    return rows
