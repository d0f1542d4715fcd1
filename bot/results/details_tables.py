"""The rows of tables in details repos, for commands of operators that read whole tables."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hub.client import Hub
from hub.records import Repo

MAX_TABLE = 512 * 1024 * 1024
BATCH_ROWS = 500


def read_rows(hub: Hub, repo: Repo, path: str, columns: Sequence[str] | None = None) -> Iterator[Mapping[str, Any]]:
    """The rows of a table, with all columns or these. One call. Raises HubError, TooLarge for a file above MAX_TABLE,
    and ValueError, OSError or ArrowException if it is none."""
    import pyarrow.parquet as pq  # heavy, and boards without the extra `contents` lack it

    with tempfile.TemporaryFile() as file:
        hub.save_file(repo, path, "main", file, max_bytes=MAX_TABLE)
        file.seek(0)
        for batch in pq.ParquetFile(file).iter_batches(BATCH_ROWS, columns=columns):
            yield from batch.to_pylist()
