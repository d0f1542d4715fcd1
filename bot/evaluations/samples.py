"""Compares a worker's results with the samples that it published, before the bot publishes the results.

Of each table only the columns that say how samples were scored are read, by parts of the file: the texts of questions
and answers, nearly all of a table, stay on the Hub. Small tables are read whole. One call lists the tables of a repo;
each table costs one call if it is small, else one for its layout and one for each group of neighbouring parts, at most
MAX_CALLS. The files are opened by the probe, in a process with limits. `leaderboard.sample_checks` compares.

A Hub that does not answer now raises HubError: the caller tries again later, as with the results file itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import structlog

from bot.core.context import BoardContext
from bot.core.mirrors.contents_table import can_write
from hub.errors import Denied, Garbled, TooLarge
from hub.records import Repo
from hub.retries import unless_gone
from leaderboard.attempts import Details
from leaderboard.details import table_path
from leaderboard.results import ResultsFile
from leaderboard.sample_checks import (
    CheckedSamples,
    SamplesDiffer,
    SampleTotals,
    UnreadableSamples,
    check_samples,
)
from leaderboard.suites import Benchmark

log = structlog.get_logger()

WHOLE = 256 * 1024
"""Bytes up to which a table is read whole, in one call."""
TAIL = 64 * 1024
"""Bytes at the end of a larger table that are read first: they hold the layout, if it has few hundred parts."""
MAX_LAYOUT = 8 * 1024 * 1024
MAX_CALLS = 64
"""The most calls that read the parts of one table: if it has more parts, neighbours are read with their gap."""
GAP = 64 * 1024
"""The longest gap between two parts, in bytes, that is read with them: another call would cost more."""
MAX_TABLE = 8 * 1024**3
MAX_READ = 256 * 1024 * 1024
"""Bytes that are read of all tables of one evaluation."""
MAX_ROWS = 5_000_000
MAX_COLUMN = 64 * 1024 * 1024
"""Bytes of one column of a row group after decompression."""
MAX_FILTERS = 100
_MAGIC, _ENDING = b"PAR1", 8


class SamplesNotShown(Exception):
    """The Hub shows no table of samples where the worker should have published it."""


@dataclass(frozen=True)
class TablePlace:
    """A table of samples on the Hub: its path in a repo at a commit, and its bytes."""

    repo: Repo
    commit: str
    path: str
    size: int


def compare_with_samples(
    context: BoardContext, model: str, repo: Repo, details: Details, results: ResultsFile
) -> CheckedSamples:
    """Compare `results` with the samples in `repo`, the details repo of `model`.

    Raises SamplesDiffer, SamplesNotShown, HubError and ProbeError.
    """
    if not can_write():
        unread = UnreadableSamples("the bot cannot read tables: pyarrow (the extra `contents`) is not installed")
        return check_samples(results.data, context.suite, {}, dict.fromkeys(context.suite.tasks, unread))
    reader = _TableReader(context)
    tables = dict[str, SampleTotals | UnreadableSamples]()
    for benchmark, task, place in table_places(context, model, repo, details):
        tables[task] = place if isinstance(place, UnreadableSamples) else reader.read(benchmark, task, place)
    checked = check_samples(results.data, context.suite, asked_questions(results), tables)
    log.info("samples compared", samples=checked.samples, calls=reader.calls, bytes=reader.bytes)
    return checked


def table_places(
    context: BoardContext, model: str, repo: Repo, details: Details
) -> Iterator[tuple[Benchmark, str, TablePlace | UnreadableSamples]]:
    """Yield the place of each task's table: one call, and two for the gated repo of restricted benchmarks.

    If one is missing, all are looked up once more: a wrong list of the Hub would set the worker aside. Raises
    SamplesNotShown.
    """
    time = details.results_path.removeprefix("results_").removesuffix(".json")
    paths = {task: table_path(task, time) for task in context.suite.tasks}
    places = _look_up(context, model, repo, details.commit, paths)
    if None in places.values():
        places = _look_up(context, model, repo, details.commit, paths)
    for benchmark in context.suite.benchmarks:
        for task in benchmark.tasks:
            if (place := places[task.name]) is None:
                raise SamplesNotShown(f"{paths[task.name]} is not in the details repo")
            yield benchmark, task.name, place


def _look_up(
    context: BoardContext, model: str, repo: Repo, commit: str, paths: Mapping[str, str]
) -> dict[str, TablePlace | UnreadableSamples | None]:
    """Task → the place of its table, for the tasks in `paths`; None if the Hub lists no table."""
    listed = _listed(context, repo, commit, list(paths.values()))
    gated: dict[str, TablePlace] | UnreadableSamples = {}
    if context.suite.restricted:
        gated = _in_gated_repo(context, model, list(paths.values()))
    places = dict[str, TablePlace | UnreadableSamples | None]()
    for benchmark in context.suite.benchmarks:
        for task in benchmark.tasks:
            path = paths[task.name]
            places[task.name] = listed.get(path)
            if places[task.name] is None and benchmark.restricted:
                places[task.name] = gated if isinstance(gated, UnreadableSamples) else gated.get(path)
    return places


def _listed(context: BoardContext, repo: Repo, commit: str, paths: Sequence[str]) -> dict[str, TablePlace]:
    entries = context.hub.paths_info(repo, paths, commit)
    return {path: TablePlace(repo, commit, path, entry.size) for path, entry in entries.items()}


def _in_gated_repo(
    context: BoardContext, model: str, paths: Sequence[str]
) -> dict[str, TablePlace] | UnreadableSamples:
    """The tables in the repo of the answers to restricted benchmarks, which not every bot may read."""
    repo = Repo("dataset", context.board.repos.restricted_details(model))
    try:
        tables = unless_gone(lambda: _listed(context, repo, context.hub.head(repo), paths))
    except Denied:
        tables = None
    return UnreadableSamples(f"the bot may not read {repo.id}") if tables is None else tables


def asked_questions(results: ResultsFile) -> dict[str, int]:
    """The number of questions of each task by the results' digests; empty without digests."""
    digests = results.block.digests
    return {task: parts.asked.questions for task, parts in digests.tasks.items()} if digests is not None else {}


def task_samples(context: BoardContext, benchmark: Benchmark, task: str, folder: Path, file: str) -> SampleTotals:
    """The totals of the table of `task`, the local `file` in `folder`. Raises SamplesDiffer if it is no table."""
    sums = context.probe.sample_sums(
        folder,
        file,
        metrics=list(benchmark.metrics),
        withdrawn=sorted(context.suite.withdrawn(task)),
        max_rows=MAX_ROWS,
        max_filters=MAX_FILTERS,
    )
    if sums.error:
        raise SamplesDiffer(f"the table of the samples of {task} {sums.error}")
    return SampleTotals(sums.rows, sums.questions, sums.metrics, sums.scores_differ)


class _TableReader:
    """Reads tables of one evaluation, and counts its reads and their bytes in `calls` and `bytes`."""

    def __init__(self, context: BoardContext) -> None:
        self._context = context
        self.calls = 0
        self.bytes = 0

    def read(self, benchmark: Benchmark, task: str, table: TablePlace) -> SampleTotals | UnreadableSamples:
        """The totals of the table of `task`. Raises SamplesDiffer if it is no table, or too large."""
        try:
            with self._context.probe.folder() as folder:
                self._save(table, folder)
                return task_samples(self._context, benchmark, task, folder, "table")
        except _BadTable as error:
            raise SamplesDiffer(f"{table.path} {error}") from error
        except Denied:
            return UnreadableSamples(f"the bot may not read {table.repo.id}")

    def _save(self, table: TablePlace, folder: Path) -> None:
        """Write the parts of the table that are needed to the file `table` in `folder`, at their offsets."""
        if table.size > MAX_TABLE:
            raise _BadTable(f"has more than {MAX_TABLE:,} bytes")
        with (folder / "table").open("wb") as file:
            file.truncate(table.size)
            if table.size <= WHOLE:
                self._copy(table, 0, table.size, file)
                return
            self._copy_layout(table, file)
        parts = self._context.probe.table_parts(folder, "table", max_rows=MAX_ROWS, max_column=MAX_COLUMN)
        if parts.error or not all(0 <= start < end <= table.size for start, end in parts.parts):
            raise _BadTable(parts.error or "is no table of samples")
        with (folder / "table").open("r+b") as file:
            for start, end in neighbours_joined(parts.parts, MAX_CALLS):
                self._copy(table, start, end, file)

    def _copy_layout(self, table: TablePlace, file: BinaryIO) -> None:
        """Copy the end of the table, which holds its layout and, in the last bytes, the layout's length."""
        tail = self._copy(table, table.size - TAIL, table.size, file)
        length = int.from_bytes(tail[-8:-4], "little") + _ENDING
        if tail[-4:] != _MAGIC or length > min(MAX_LAYOUT, table.size):
            raise _BadTable("is no table of samples")
        if length > TAIL:
            self._copy(table, table.size - length, table.size - TAIL, file)

    def _copy(self, table: TablePlace, start: int, end: int, file: BinaryIO) -> bytes:
        """Read a part of the table, write it at its offset in `file`, and return it."""
        self.calls, self.bytes = self.calls + 1, self.bytes + end - start
        if self.bytes > MAX_READ:
            raise _BadTable(f"and the tables before it have more than {MAX_READ:,} bytes of metrics")
        try:
            data = self._context.hub.read_range(table.repo, table.path, table.commit, start, end)
        except TooLarge as error:
            raise Garbled(f"The Hub sends more of {table.path} than was asked for.") from error
        if len(data) != end - start:
            raise Garbled(f"The Hub lists {table.size:,} bytes of {table.path}, and has fewer.")
        file.seek(start)
        file.write(data)
        return data


class _BadTable(Exception):
    """A file is no table of samples, or too large; the message continues a sentence that begins with its name."""


def neighbours_joined(parts: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Join parts of a file, as (start, end), with the gaps between them until there are at most `most`.

    The smallest gaps are closed first, and all those that are shorter than GAP.
    """
    joined = list[tuple[int, int]]()
    for start, end in sorted(parts):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    gaps = sorted(second[0] - first[1] for first, second in pairwise(joined))
    limit = max(GAP, gaps[len(joined) - most - 1] if len(joined) > most else 0)
    result = joined[:1]
    for start, end in joined[1:]:
        if start - result[-1][1] <= limit:
            result[-1] = (result[-1][0], end)
        else:
            result.append((start, end))
    return result
