"""Unpacks tar archives on every supported Python."""

from __future__ import annotations

import tarfile
from pathlib import Path


def unpack_tar(archive: tarfile.TarFile, folder: Path) -> None:
    """Write the files of an archive that this repository made into `folder`.

    Python has filters from 3.11.4 on; Debian 12 has 3.11.2.
    """
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
    else:
        archive.extractall(folder)  # noqa: S202  the repository's own archive
