"""Publishes the tables of answers of a rescored evaluation beside those of the evaluation, which stay.

They are a run of their own in the details repos: a split of each task, and `latest`. A table goes to the repo that
holds the evaluation's table of the same task, so the answers to restricted benchmarks stay in their repo.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from hub.client import Hub
from hub.errors import StaleParent
from hub.records import Change, Repo, WriteFile, WriteLocalFile
from leaderboard.details import CARD, RESULTS_CONFIG, results_file, table_path
from leaderboard.results import ResultsFile, dump
from leaderboard.suites import Suite
from workers.publication.details import card, write_scores

MAX_TRIES = 5


def publish_rescored(
    hub: Hub,
    repos: Mapping[str, Repo],
    results: ResultsFile,
    suite: Suite,
    tables: Path,
    *,
    time: str,
    details: Repo,
    restricted: str,
) -> None:
    """Commit the tables (`{task}.parquet` in `tables`) to the repo of each task in `repos`, once; `time` names the run.

    `details` is the model's details repo, which gets the results too; `restricted` names that of restricted benchmarks.
    Raises HubError, for instance Denied if the caller may not write there.
    """
    with TemporaryDirectory(prefix="steward-details-") as folder:
        scores = Path(folder) / f"{RESULTS_CONFIG}.parquet"
        write_scores(results, scores)
        for repo in sorted({*repos.values()} - {details}, key=lambda repo: repo.id):
            _commit(hub, repo, list(_tables(repos, repo, tables, time)), results, suite, time, restricted)
        files = [
            *_tables(repos, details, tables, time),
            WriteFile(results_file(time), dump(results.data)),
            WriteLocalFile(table_path(RESULTS_CONFIG, time), scores),
        ]
        _commit(hub, details, files, results, suite, time, restricted)


def _tables(repos: Mapping[str, Repo], repo: Repo, tables: Path, time: str) -> Iterator[Change]:
    for task, place in repos.items():
        if place == repo:
            yield WriteLocalFile(table_path(task, time), tables / f"{task}.parquet")


def _commit(
    hub: Hub, repo: Repo, files: list[Change], results: ResultsFile, suite: Suite, time: str, restricted: str
) -> None:
    """Commit the files and the card that lists them; read the repo again if its head moved meanwhile."""
    for tries_left in reversed(range(MAX_TRIES)):
        head = hub.head(repo)
        paths = [entry.path for entry in hub.list_files(repo, head)]
        readme = card(repo.id, [*paths, *(file.path for file in files)], results, suite, restricted)
        message = f"Add the answers of {results.block.model}, scored again ({suite.name}, {time})"
        try:
            hub.commit(repo, [*files, WriteFile(CARD, readme.encode())], message, parent=head)
        except StaleParent:
            if not tries_left:
                raise
            continue
        return
