"""Wheels of both distributions, built once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def build_wheel(folder: Path, into: Path) -> Path:
    """Build the wheel of the project in `folder`, and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (wheel,) = into.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def wheels(project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheels of Steward and of localhub."""
    folder = tmp_path_factory.mktemp("wheels")
    return build_wheel(project, folder / "steward"), build_wheel(project / "localhub", folder / "localhub")
