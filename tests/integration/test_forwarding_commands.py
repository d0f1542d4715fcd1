"""Commands that have another name now: the old one goes on working."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NAMES = [("month", "month"), ("peers", "peers"), ("adopted", "adoption")]
"""Names below `benchmarks` and below `simulations`."""
SCRIPT = """
import contextlib, io, json, runpy, sys
modules, sys.argv[1:] = sys.argv[1:], ["--help"]
helps = {}
for module in modules:
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    helps[module] = said.getvalue()
print(json.dumps(helps))
"""


@pytest.fixture(scope="module")
def helps(project: Path) -> dict[str, str]:
    """What `python -m MODULE --help` prints, for every module; one process runs all, for they import the same."""
    modules = [module for old, new in NAMES for module in (f"benchmarks.{old}", f"simulations.{new}")]
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, *modules], cwd=project, capture_output=True, text=True, check=True
    )
    by_command: dict[str, str] = json.loads(process.stdout)
    return by_command


@pytest.mark.long("two seconds of a processor")
@pytest.mark.parametrize(("old", "new"), NAMES)
def test_a_simulation_is_run_by_its_old_command(helps: dict[str, str], old: str, new: str) -> None:
    """`python -m benchmarks.NAME --help` prints the help of the simulation."""
    assert helps[f"benchmarks.{old}"] == helps[f"simulations.{new}"]
    assert f"python -m simulations.{new}" in helps[f"benchmarks.{old}"]
