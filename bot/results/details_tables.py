"""Tables in details repos, for commands of operators that read whole tables."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.core.context import BoardContext
from hub.client import Hub
from hub.errors import BadRequest, Denied, NotFound
from hub.records import Repo
from leaderboard.boards import RESTRICTED
from leaderboard.suites import Benchmark

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


def repo_with_table(context: BoardContext, model: str, details: str, benchmark: Benchmark, path: str) -> Repo:
    """The repo with the table `path` of the answers of `model` to `benchmark`; a call for each further place.

    `details` is the model's details repo. The answers to restricted benchmarks lie in a repo of their own, after a
    rename of the model under its former name, and with the others if an earlier version of Steward published them.
    """
    if benchmark.restricted:
        for name in dict.fromkeys((context.board.repos.restricted_details(model), details + RESTRICTED)):
            repo = Repo("dataset", name)
            try:
                if path in context.hub.paths_info(repo, [path]):
                    return repo
            except (NotFound, Denied, BadRequest):
                continue
    return Repo("dataset", details)
