"""`python -m workers.starter FOLDER`: write the dataset repo of the starter suite to FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from workers.starter import dataset_files


def main() -> None:
    """Write all files and their folders."""
    folder = Path(sys.argv[1])
    for name, content in dataset_files().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


if __name__ == "__main__":
    main()
