"""Ends or hands back attempts whose job ended before they did: the worker stops, or the job's process died."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable

import redis
from rq import Queue
from rq.exceptions import DeserializationError
from rq.job import Job

from leaderboard.attempts import Outcome
from leaderboard.evidence import FailureEvidence
from redis_state.clock import now
from redis_state.errors import BadMessage
from redis_state.jobs import EvaluationJob, parse
from workers.common.diagnosis import signal_name
from workers.jobs.board_link import BoardRedis
from workers.jobs.outbox import send_unsent_outcome
from workers.jobs.outcomes import outcome_of
from workers.jobs.worker_context import WorkerContext

log = logging.getLogger(__name__)

ENDED_STATES = ("ended", "void")
MAX_TRIES = 5


def hand_back(board_redis: BoardRedis, worker_context: WorkerContext, job: Job, queue: Queue) -> None:
    """The worker stops: hand the attempt back and notify the bot, unless it ended or another worker has it.

    RQ's job is deleted first: while it exists, the bot cannot queue another job of the same id.
    """

    def send() -> None:
        message = _message(job)
        send_unsent_outcome(worker_context.slot.attempt, board_redis)
        if message is None or _has_ended(board_redis, message.attempt, worker_context.worker):
            return
        queue.intermediate_queue.remove(job.id)
        job.delete()
        if message.cross_check is not None:  # the bot asks another worker
            return
        board_redis.attempts().hand_back(message.attempt, worker=worker_context.worker)
        board_redis.mark(message.path)
        log.info("attempt %s was handed back", message.attempt)

    _retry_until_sent(send, job.id)


def end_as_lost(board_redis: BoardRedis, job: Job, worker_context: WorkerContext, status: int | None) -> None:
    """The job's process died: end the attempt as lost, unless it already has an outcome."""

    def send() -> None:
        message = _message(job)
        send_unsent_outcome(worker_context.slot.attempt, board_redis)
        is_check = message is not None and message.cross_check is not None  # the bot stores no attempt for these
        if message is None or is_check or _has_ended(board_redis, message.attempt, worker_context.worker):
            return
        board_redis.attempts().end(
            _lost_outcome(board_redis, message, worker_context, status),
            f"[worker] {_exit_text(status)}\n",
            worker=worker_context.worker,
        )
        board_redis.mark(message.path)

    _retry_until_sent(send, job.id)


def _message(job: Job) -> EvaluationJob | None:
    try:
        kwargs = job.kwargs  # untrusted: any client of Redis may have written it
        return parse(kwargs.get("message") if isinstance(kwargs, dict) else None)
    except (BadMessage, DeserializationError):
        return None


def _has_ended(board_redis: BoardRedis, attempt: str, worker: str) -> bool:
    """Whether the attempt has ended, or another worker holds it because RQ lost this worker's job for a while."""
    state = board_redis.attempts().read(attempt)
    return state is not None and (state.state in ENDED_STATES or state.worker not in ("", worker))


def _lost_outcome(
    board_redis: BoardRedis, message: EvaluationJob, worker_context: WorkerContext, status: int | None
) -> Outcome:
    state = board_redis.attempts().read(message.attempt)
    phase = state.progress.phase if state else "claim"
    evidence = FailureEvidence(phase, stopped="handed-back", text=_exit_text(status))
    return outcome_of(
        worker_context, message, started=state.started if state else now(), phase=phase, evidence=evidence
    )


def _exit_text(status: int | None) -> str:
    if status is not None and os.WIFSIGNALED(status):
        return f"the process that ran the evaluation's job was ended by {signal_name(os.WTERMSIG(status))}"
    return "the process that ran the evaluation's job ended early"


def _retry_until_sent(send: Callable[[], None], job: str) -> None:
    """Call `send` until it succeeds, MAX_TRIES times. After that the bot ends the silent attempt as lost."""
    for retry in range(MAX_TRIES):
        try:
            send()
            return
        except redis.RedisError as error:
            log.warning("job %s: its end cannot be written to Redis: %s", job, error)
            time.sleep(0.1 * 2**retry)
