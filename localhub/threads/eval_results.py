"""The scores of models: those on main, those in open pull requests, and the leaderboard of a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from localhub.json_values import JsonObject
from localhub.repos.cards import README, card_data
from localhub.repos.eval_results import EvalFile, benchmark_tasks, files_at
from localhub.repos.records import Repo
from localhub.repos.store import RepoStore
from localhub.threads import pulls
from localhub.threads.service import ThreadService
from localhub.threads.store import ThreadFilter

_OPEN_PULLS = ThreadFilter(is_pull=True, over=False)
_MOST_PULLS = 1000


@dataclass(frozen=True)
class _Source:
    """A file of scores, and the number of the open pull request that brings it; None on main."""

    file: EvalFile
    pull: int | None


class EvalResults:
    """Reads scores from the models' files; nothing is stored."""

    def __init__(self, repos: RepoStore, threads: ThreadService) -> None:
        self._repos = repos
        self._threads = threads

    def of_model(self, repo: Repo, commit: str | None) -> list[JsonObject]:
        """The scores of a model at `commit` and in open pull requests, one item for each entry or invalid file."""
        items: list[JsonObject] = []
        for source in self._sources(repo, commit):
            pull = {"pullRequest": source.pull} if source.pull is not None else {}
            if source.file.error:
                items.append({"filename": source.file.path, "error": source.file.error, **pull})
            items += (
                {"filename": source.file.path, "verified": False, "data": entry, **pull}
                for entry in source.file.entries
            )
        return items

    def leaderboard(
        self, dataset: Repo, *, may_read: Callable[[Repo], bool], base_model_only: bool
    ) -> list[JsonObject] | None:
        """The entries of all models for a benchmark, the highest value first; None if the dataset is no benchmark.

        With `base_model_only`, models whose card names a base model are left out.
        """
        tasks = benchmark_tasks(dataset.git)
        if tasks is None:
            return None
        rows = [
            row
            for model in self._repos.all("model")
            if may_read(model) and not (base_model_only and _has_base_model(model))
            for row in self._rows(model, dataset, tasks)
        ]
        rows.sort(key=lambda row: (-float(str(row["value"])), str(row["modelId"]), str(row["filename"])))
        return [{"rank": rank, **row} for rank, row in enumerate(rows, 1)]

    def _rows(self, model: Repo, dataset: Repo, tasks: frozenset[str]) -> Iterator[JsonObject]:
        for source in self._sources(model, model.git.head()):
            for entry in source.file.entries:
                benchmark = entry["dataset"]
                assert isinstance(benchmark, dict)
                if benchmark["id"].lower() != dataset.full_name.lower() or benchmark["task_id"] not in tasks:
                    continue
                row = {"modelId": model.full_name, "value": entry["value"], "filename": source.file.path}
                optional = {"source": entry.get("source"), "pullRequest": source.pull, "notes": entry.get("notes")}
                given = {name: value for name, value in optional.items() if value is not None}
                yield {**row, "verified": False, **given}

    def _sources(self, repo: Repo, commit: str | None) -> Iterator[_Source]:
        if commit:
            yield from (_Source(file, None) for file in files_at(repo.git, commit))
        threads, _ = self._threads.page(repo, _OPEN_PULLS, start=0, size=_MOST_PULLS)
        for thread in threads:
            span = pulls.changed_span(repo, thread) if thread.status == "open" else None
            if span is None:
                continue
            changed = [change.path for change in repo.git.changed_paths(*span) if change.new]
            yield from (_Source(file, thread.num) for file in files_at(repo.git, span[1], changed))


def _has_base_model(model: Repo) -> bool:
    head = model.git.head()
    return bool(card_data(model.git.file(head, README) if head else None).get("base_model"))
