"""Finished evaluations of ada/good with published tables of answers, and the sync's answers about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from bot.read_models.details_models import DetailsResponse
from bot.results.details_reader import read_details
from leaderboard.details import table_path
from leaderboard.results import file_time, results_time
from redis_state.board.messages import DetailsQuestion
from steward.testing.board import WORKER, BoardDriver
from tests.support.board.seeded_board import entry, path_of, score
from tests.support.units.details_samples import sample
from workers.publication.details import write_samples

TASK, OTHER_TASK = "starter_navigation", "starter_web_of_lies"
RIGHT = {"acc_norm": 1.0}
WRONG = {"acc_norm": 0.0, "filtered_resps": [["-2.5", "False"], ["-1.5", "True"]]}


def evaluate(stand: BoardDriver, folder: Path, lines: list[bytes], precision: str = "float32") -> str:
    """Create a finished request of ada/good with these samples as published answers to TASK; return its path."""
    name = f"ada/good/results_2026-11-24T12-00-00.{len(precision):06}.json"
    request = entry("ada/good", "settled", "FINISHED", path=path_of("ada/good", precision), results=name)
    score(stand.context.scores, request, 50.0, "chat")  # first: a change of the request has the server read them
    stand.context.index.put(request)
    HfApi(stand.hub.url, token=WORKER).create_repo(repo_of(stand), repo_type="dataset", exist_ok=True)
    put_table(stand, request.path, table(folder, lines))
    return request.path


def table(folder: Path, lines: list[bytes]) -> bytes:
    """Return the table that a worker writes from these samples."""
    (folder / "samples.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    write_samples(folder / "samples.jsonl", folder / "table.parquet", ["acc_norm,none"])
    return (folder / "table.parquet").read_bytes()


def put_table(stand: BoardDriver, path: str, data: bytes, task: str = TASK) -> None:
    """Commit the table of `task` as the worker, for the evaluation of the request at `path`."""
    (indexed,) = stand.context.index.find([path])
    assert indexed is not None
    time = results_time(indexed.standing.results)
    assert time is not None
    adds = [CommitOperationAdd(table_path(task, file_time(time)), data)]
    gpu = HfApi(stand.hub.url, token=WORKER)
    gpu.create_commit(repo_of(stand), adds, commit_message="Add answers", repo_type="dataset")


def repo_of(stand: BoardDriver) -> str:
    """The details repo of ada/good."""
    return stand.context.board.repos.details("ada/good")


def read(stand: BoardDriver, path: str, **fields: Any) -> DetailsResponse:
    """Return the sync's answer about TASK."""
    return read_details(stand.context, DetailsQuestion(**{"path": path, "task": TASK, **fields}))


def many(right: set[int], count: int = 50) -> list[bytes]:
    """Return samples of `count` questions; the answers to those with the numbers `right` are right."""
    docs = ({"input": f"Question {at}?", "target": "Yes"} for at in range(count))
    return [sample(doc_id=at, doc=doc, **(RIGHT if at in right else WRONG)) for at, doc in enumerate(docs)]
