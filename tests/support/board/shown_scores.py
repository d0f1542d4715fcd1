"""Evaluations, results files and licences on the board of `board_driver`, and readers of what the bot shows of them."""

from __future__ import annotations

import json
from typing import Any

from huggingface_hub import CommitOperationAdd

from bot.evaluations.restore_deleted import CHECK_SECONDS
from bot.results.searching import find
from bot.web.board import BoardReader
from bot.web.pages.results import ResultsQuery, results
from steward.testing.board import BoardDriver
from tests.support.board.published_details import publish


def licensed(stand: BoardDriver, model: str, licence: str = "mit") -> None:
    """Upload a model card with this licence as the model's author."""
    card = f"---\nlicense: {licence}\n---\n# It\n".encode()
    stand.ada.create_repo(model, exist_ok=True)
    stand.ada.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=model)


def finished(stand: BoardDriver, model: str = "ada/good", errors: dict[str, Any] | None = None) -> str:
    """Evaluate a model; return the path of its request."""
    job = stand.started(model)
    stand.end(job, details=publish(stand.hub.url, job, stand.context.suite, errors=errors))
    look(stand)
    assert stand.file(job.path)["status"] == "FINISHED"
    return job.path


def look(stand: BoardDriver) -> None:
    """Let two periodic checks for changes run."""
    for _ in range(2):
        stand.time += CHECK_SECONDS
        stand.tick()
        stand.work()


def commit(stand: BoardDriver, path: str, content: object) -> None:
    """Commit a results file without the bot."""
    operations = [CommitOperationAdd(path, json.dumps(content).encode())]
    stand.form.create_commit("board/results", operations, commit_message="Add", repo_type="dataset")


def page(views: BoardReader) -> list[tuple[str, str, str, float]]:
    """Return model, commit, licence and average of each row of the results page."""
    return [
        (result.model, result.revision, result.licence, result.average)
        for result in results(views, ResultsQuery(limit=10)).results
    ]


def found(stand: BoardDriver, words: str) -> list[tuple[str, float | None]]:
    """Return the requests that a search finds, with the averages that it shows."""
    return [(hit.entry.path, hit.average) for hit in find(stand.context, words, limit=9).hits]
