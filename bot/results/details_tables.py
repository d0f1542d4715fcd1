"""Tables in details repos, for commands of operators that read whole tables."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bot.core.context import BoardContext
from bot.core.log_repos import stored_outcome
from hub.client import Hub
from hub.errors import BadRequest, Denied, NotFound
from hub.records import Repo
from leaderboard.boards import RESTRICTED
from leaderboard.suites import Benchmark

MAX_TABLE = 512 * 1024 * 1024
MAX_GROUP = 256 * 1024 * 1024
"""Bytes of one row group after decompression; a worker writes a group after four million characters."""
MAIN = "main"
BATCH_ROWS = 50
"""Rows in memory at a time: a row alone may have megabytes of text."""


class TableUnusable(ValueError):
    """A file is not a table of answers, or grows too large when it is read."""


def published_commit(context: BoardContext, model: str, attempt: str) -> str:
    """The commit of the details repo whose tables the bot checked before it published the results of `attempt`.

    Each worker may change the tables on main afterwards. The outcome in the logs repo names the commit; "main" if there
    is none: the results are older, or the model was renamed since. One to four calls. Raises HubError.
    """
    for repo in (context.logs, context.private_logs):
        outcome = stored_outcome(context, repo, model, attempt)
        if outcome is not None and outcome.details is not None:
            return outcome.details.commit
    return MAIN


def read_rows(
    hub: Hub, repo: Repo, path: str, columns: Sequence[str], *, commit: str = MAIN
) -> Iterator[Mapping[str, Any]]:
    """The rows of a table with these columns. One call. Raises HubError, TooLarge for a file above MAX_TABLE, and
    TableUnusable."""
    import pyarrow as pa  # heavy, and boards without the extra `contents` lack it
    import pyarrow.parquet as pq

    with tempfile.TemporaryFile() as file:
        hub.save_file(repo, path, commit, file, max_bytes=MAX_TABLE)
        file.seek(0)
        try:
            table = pq.ParquetFile(file)
            if not {*columns} <= {*table.schema_arrow.names}:
                raise TableUnusable(f"{path} in {repo.id} is no table of answers")
            groups = (table.metadata.row_group(number) for number in range(table.metadata.num_row_groups))
            if any(group.total_byte_size > MAX_GROUP for group in groups):
                raise TableUnusable(f"{path} in {repo.id} has more than {MAX_GROUP:,} bytes in one piece")
            for batch in table.iter_batches(BATCH_ROWS, columns=list(columns)):
                yield from batch.to_pylist()
        except (pa.ArrowException, MemoryError, OSError, UnicodeDecodeError) as error:
            raise TableUnusable(f"{path} in {repo.id} is no table of answers: {str(error)[:100]}") from error


def repo_with_table(context: BoardContext, model: str, details: str, benchmark: Benchmark, path: str) -> Repo:
    """The repo with the table `path` of the answers of `model` to `benchmark`; a call for each further place.

    `details` is the model's details repo. The answers to restricted benchmarks are in a repo of their own (under the
    former name of a renamed model), or with the other answers if an earlier version of Steward published them.
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
