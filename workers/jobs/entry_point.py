"""The job that RQ calls, by its dotted name: one attempt, from the message to its outcome. It never raises."""

from __future__ import annotations

import logging
from typing import Any

from redis_state.errors import BadMessage
from redis_state.jobs import parse
from workers.jobs.attempt import AttemptRun
from workers.jobs.worker_context import WORKER_CONTEXT

log = logging.getLogger(__name__)


def evaluate(message: Any) -> dict[str, Any]:
    """Carry out the evaluation that `message` asks for; the outcome as JSON. Never raises."""
    try:
        job = parse(message)
        worker_context = WORKER_CONTEXT.get()
    except BadMessage as error:
        log.exception("a job that is none was refused")
        return {"refused": str(error)[:2_000]}
    except LookupError:
        log.error("this queue is for `steward work`; a plain RQ worker cannot evaluate")
        return {"refused": "not run by a worker of Steward"}
    return AttemptRun(worker_context, job).evaluate()
