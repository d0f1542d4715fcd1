"""Requests of Ada's model that have ended, and newer commits of the model."""

from __future__ import annotations

from typing import Any

from leaderboard.attempts import Failure
from steward.testing.board import BoardDriver
from tests.support.board.published_details import publish
from tests.support.board.submissions import PATH

THEIRS = Failure(cause="nan-weights", fault="submission", message="Weights are NaN.", advice="Save them again.")
SUBMIT = "/submit ada/good precision=float32"


def ended(stand: BoardDriver, failure: Failure | None = None, **fields: Any) -> dict[str, Any]:
    """Submit Ada's model with `fields`, let it fail with `failure` or else finish, and return its request file."""
    stand.submit("ada/good", sender="ada", **fields)
    stand.settle()
    stand.worker()
    stand.context.mark("queue")
    stand.settle()
    (job,) = stand.queued()
    stand.take(job)
    stand.end(job, failure=failure, details=None if failure else publish(stand.hub.url, job, stand.context.suite))
    file = stand.file(PATH)
    assert file["status"] == ("FAILED" if failure else "FINISHED")
    return file


def commit(stand: BoardDriver) -> str:
    """Commit to the model as Ada; return the commit's hash."""
    pushed = stand.ada.upload_file(path_or_fileobj=b"new", path_in_repo="more.txt", repo_id="ada/good")
    return str(pushed.oid)
