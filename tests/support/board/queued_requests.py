"""Requests that wait for dispatch, and how an evaluation of one fails, on the board of `board_driver`."""

from __future__ import annotations

import json

from huggingface_hub import CommitOperationAdd

from leaderboard.attempts import Failure
from leaderboard.request_paths import RequestPath
from redis_state.heartbeats import WorkerCard
from redis_state.jobs import EvaluationJob
from steward.testing.board import REQUESTS, BoardDriver

THEIRS = Failure(cause="weights-corrupted", fault="submission", message="Cut off.")
"""A failure that is the fault of the submission."""


def path_of(precision: str) -> str:
    """Return the path of the request for ada/good at `precision`."""
    return str(RequestPath("ada", "good", private=False, precision=precision, weight_type="Original"))


def submit(stand: BoardDriver, *precisions: str, sender: str = "") -> list[str]:
    """Commit requests of `sender` as the form does, all at once; return their paths."""
    form = stand.context.hub.user("form").id
    known = tuple(dict.fromkeys((*stand.context.board.precisions, *precisions)))
    stand.context.board = stand.context.board.model_copy(update={"front_ends": (form,), "precisions": known})
    files = [
        CommitOperationAdd(
            path_of(precision), json.dumps({"model": "ada/good", "status": "PENDING", "sender": sender}).encode()
        )
        for precision in precisions
    ]
    stand.form.create_commit(REQUESTS, files, commit_message="Add", repo_type="dataset")
    stand.settle()
    return [path_of(precision) for precision in precisions]


def queued(stand: BoardDriver) -> list[str]:
    """Return the paths of the jobs in RQ."""
    return [job.path for job in stand.queued()]


def start(stand: BoardDriver, path: str) -> EvaluationJob:
    """Take the job of `path` as the worker, and be granted the claim."""
    (job,) = (job for job in stand.queued() if job.path == path)
    card = WorkerCard(name="w", tiers=("all",), since=stand.time, beat=stand.time, doing=job.attempt)
    stand.context.workers.announce(card)
    assert stand.take(job) is True
    return job


def status_comment(stand: BoardDriver, path: str) -> str:
    """Return the status comment of the request at `path`."""
    thread = stand.context.index.get(path).thread
    (post,) = (discussion.events[0].content for discussion in stand.threads() if discussion.num == thread)
    return str(post).replace("\u200b", "")
