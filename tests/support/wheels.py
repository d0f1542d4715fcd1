"""Builds a wheel without a network, by the build backend of this environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def build_wheel(folder: Path, into: Path) -> Path:
    """Build the wheel of the project in `folder`, and return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(into)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (wheel,) = into.glob("*.whl")
    return wheel
