"""Builds wheels and source distributions without a network, by the build backend of this environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def build_wheel(folder: Path, into: Path) -> Path:
    """Build the wheel of the project in `folder`, and return its path."""
    return _build("wheel", folder, into)


def build_sdist(folder: Path, into: Path) -> Path:
    """Build the source distribution of the project in `folder`, and return its path."""
    return _build("sdist", folder, into)


def _build(target: str, folder: Path, into: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (built,) = into.iterdir()
    return built
