"""The function behind an RQ job: runs one attempt, from the job's message to its outcome, or one cross-check."""

from __future__ import annotations

import logging
from typing import Any

from redis_state.errors import BadMessage
from redis_state.jobs import parse
from workers.jobs.attempt import AttemptRun
from workers.jobs.cross_check import CrossCheckRun
from workers.jobs.worker_context import WORKER_CONTEXT

log = logging.getLogger(__name__)


def evaluate(message: Any) -> dict[str, Any]:
    """Run the evaluation that `message` describes. Return the outcome as JSON, or why the job is refused."""
    try:
        job = parse(message)
        worker_context = WORKER_CONTEXT.get()
    except BadMessage as error:
        log.exception("refused a job whose message is invalid")
        return {"refused": str(error)[:2_000]}
    except LookupError:
        log.error("this queue is for `steward work`; a plain RQ worker cannot evaluate")
        return {"refused": "not run by a worker of Steward"}
    if job.cross_check is not None:
        return CrossCheckRun(worker_context, job, job.cross_check).run()
    return AttemptRun(worker_context, job).evaluate()
