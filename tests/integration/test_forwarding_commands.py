"""Commands that have another name now: the old one goes on working."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(("old", "new"), [("month", "month"), ("peers", "peers"), ("adopted", "adoption")])
def test_a_simulation_is_run_by_its_old_command(project: Path, old: str, new: str) -> None:
    """`python -m benchmarks.NAME --help` prints the help of the simulation."""
    helps = [
        subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=project, capture_output=True, text=True, check=True
        ).stdout
        for module in (f"benchmarks.{old}", f"simulations.{new}")
    ]
    assert helps[0] == helps[1]
    assert f"python -m simulations.{new}" in helps[0]
