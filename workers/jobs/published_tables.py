"""The tables of answers of a published attempt, read one after the other, beside those of a new evaluation."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hub.client import Hub
from hub.errors import HubError, NotFound, TooLarge
from hub.records import Repo
from leaderboard.details import parse_table_path, table_path
from leaderboard.suites import Benchmark
from workers.errors import TableRefused
from workers.jobs.provisions import TokenHubGateway
from workers.jobs.published_rows import published_rows
from workers.jobs.recorded_attempt import CannotVerify, RecordedAttempt
from workers.jobs.worker_context import WorkerContext
from workers.publication.details import BATCH, TEXTS, RowOf, write_samples
from workers.publication.evaluator_results import evaluator_row

MAX_TABLE_BYTES = 2 << 30
_COMPARED_COLUMNS = ("doc_id", *TEXTS)


@dataclass(frozen=True)
class PublishedTables:
    """The tables of one published attempt, which are downloaded one after the other to `folder`."""

    client: Hub
    recorded: RecordedAttempt
    restricted: Repo
    folder: Path
    row_of: RowOf | None = None
    """Makes rows of the samples of another evaluator than lm-eval."""
    restricted_at: str = "main"
    """The revision of `restricted`."""

    def rows(self, benchmark: Benchmark, task: str) -> Iterator[dict[str, Any]]:
        """The samples of `task`. Raises CannotVerify."""
        return _rows(self._download(benchmark, task))

    def rows_of(self, benchmark: Benchmark, task: str, numbers: Collection[int]) -> list[dict[str, Any]]:
        """The samples of the questions with these numbers, from a table that is not trusted.

        Raises CannotVerify, TableRefused and TableNotRead.
        """
        return published_rows(self._download(benchmark, task), numbers)

    def _download(self, benchmark: Benchmark, task: str) -> Path:
        """The table of `task`, as a file. Raises CannotVerify, and TableRefused for one that is too large."""
        file = self.folder / "published.parquet"
        place, path = (self.restricted, self.restricted_at), table_path(task, self.recorded.time)
        is_elsewhere = benchmark.restricted and _has_table(self.client, *place, path)
        _download_table(self.client, self.recorded, task, file, elsewhere=place if is_elsewhere else None)
        return file

    def rows_here(self, samples: Path, metrics: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The samples that a child wrote to the file `samples`, as a table has them."""
        file = self.folder / "local.parquet"
        write_samples(samples, file, metrics, as_row=self.row_of)
        return _rows(file)


@contextmanager
def published_tables(
    worker_context: WorkerContext,
    hub_gateway: TokenHubGateway,
    recorded: RecordedAttempt,
    restricted_at: str = "main",
) -> Iterator[PublishedTables]:
    """The tables of `recorded`, in a temporary folder; those in the gated repo at the revision `restricted_at`."""
    restricted = Repo("dataset", worker_context.board.repos.restricted_details(recorded.block.model))
    with (
        Hub(hub_gateway.hub.endpoint, hub_gateway.hub.token) as client,
        TemporaryDirectory(prefix="steward-verify-") as folder,
    ):
        row_of = evaluator_row if worker_context.suite.evaluator is not None else None
        yield PublishedTables(client, recorded, restricted, Path(folder), row_of, restricted_at)


def _has_table(client: Hub, repo: Repo, revision: str, path: str) -> bool:
    """Whether `repo`, for answers to restricted benchmarks, has this table; earlier versions had one repo for all.

    It asks for this file alone: the repo's author may have filled it with more files than a listing may have.
    """
    try:
        return path in client.paths_info(repo, [path], revision)
    except NotFound:
        return False


def _download_table(
    client: Hub, recorded: RecordedAttempt, task: str, file: Path, *, elsewhere: tuple[Repo, str] | None
) -> None:
    path, (repo, revision) = table_path(task, recorded.time), elsewhere or (recorded.repo, recorded.commit)
    if parse_table_path(path) is None:
        raise CannotVerify(f"{repo.id} has no table of {task}")
    try:
        with file.open("w+b") as output:
            client.save_file(repo, path, revision, output, max_bytes=MAX_TABLE_BYTES)
    except TooLarge:
        raise TableRefused(f"its table of answers has more than {MAX_TABLE_BYTES:,} bytes") from None
    except HubError as error:
        raise CannotVerify(f"{repo.id}: {path}: {error}") from error


def _rows(table: Path) -> Iterator[dict[str, Any]]:
    """The rows of a details table; one batch at a time is in memory."""
    import pyarrow.parquet as pq  # heavy, and needed only here

    with pq.ParquetFile(table) as file:
        for batch in file.iter_batches(batch_size=BATCH, columns=list(_COMPARED_COLUMNS)):
            yield from batch.to_pylist()
