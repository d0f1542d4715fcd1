"""Compares a worker's tasks, as its child recorded them, with those of the board's results."""

from __future__ import annotations

from pydantic import ValidationError

from leaderboard.comparability import asked_differences, scored_differences
from leaderboard.result_digests import DigestParts, ResultDigests, combine
from leaderboard.results import MAX_BYTES
from leaderboard.suites import Suite
from redis_state.accepted_digests import RefusedTasks
from redis_state.clock import now
from workers.common.run_plan import CHANGED_TASKS, RunPlan
from workers.errors import EvaluationFailed
from workers.jobs.worker_context import WorkerContext
from workers.publication.spool import read_plain_file

MAX_DIFFERENCES = 50
NO_REFERENCE = "no result of the board is at hand to say what differs"


def changed_tasks(plan: RunPlan, suite: Suite) -> ResultDigests:
    """The digests of the tasks that the child of `plan` refused. Raises EvaluationFailed if they are not valid."""
    data = read_plain_file(plan.spool / CHANGED_TASKS, MAX_BYTES)
    try:
        return combine(DigestParts.model_validate_json(data), suite)
    except ValidationError as error:
        raise EvaluationFailed(f"{CHANGED_TASKS} is invalid") from error


def refused_tasks(
    digests: ResultDigests, worker_context: WorkerContext, reference: ResultDigests | None
) -> RefusedTasks:
    """The record that this worker's tasks, with these `digests`, differ from `reference`, a result of the board."""
    differences: list[str] = []
    if reference is None:
        differences.append(NO_REFERENCE)
    else:
        differences += asked_differences(reference, digests)
        differences += scored_differences(reference, digests)
    return RefusedTasks(
        worker=worker_context.worker,
        fingerprint=digests.fingerprint,
        differences=tuple(dict.fromkeys(differences))[:MAX_DIFFERENCES],
        at=now(),
    )
