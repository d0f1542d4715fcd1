"""The previous version of Steward, from the repository's history."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from tests.support.archives import unpack_tar

PREVIOUS = "c423d37"
"""The commit of version 0.1.0, the distribution `steward`; tests/integration/bot/recorded has its data."""


def unpack(project: Path, folder: Path) -> Path:
    """Write the files of the previous version into `folder`; return it."""
    archive = subprocess.run(["git", "archive", PREVIOUS], cwd=project, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        unpack_tar(tar, folder)
    return folder
