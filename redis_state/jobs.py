"""The evaluation job, and its RQ queues: versioned JSON that contains only data.

RQ carries jobs with its JSON serializer. A client that can write to Redis can request an evaluation, but cannot run
code: the worker accepts only the function that this module names, and validates every field again.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, ValidationError, model_serializer
from rq import Queue
from rq.job import Job
from rq.results import Result
from rq.serializers import JSONSerializer

from leaderboard.attempts import ATTEMPT_ID
from leaderboard.cross_checks import CrossCheckOrder
from redis_state.errors import BadMessage
from redis_state.redis import TRANSIENT, Redis, text

EVALUATE = "workers.jobs.evaluate"
"""The dotted name of the only function that RQ may call: the bot never imports the workers."""

RESULT_TTL_SECONDS = 3600
FAILURE_TTL_SECONDS = 86_400
MAX_JOB_BYTES = 64 * 1024
"""Bytes that a job may hold in Redis. RQ compresses at most a thousandfold, so a job unpacks to at most 64 MB."""


class EvaluationJob(BaseModel):
    """Evaluate `model` at `revision` with `suite`, for the request, or the trial, at `path`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1
    board: str = Field(max_length=100)
    attempt: str = Field(pattern=ATTEMPT_ID.pattern)
    path: str = Field(max_length=1_000, description="of the request file in the requests repo, or of the trial")
    model: str = Field(max_length=200)
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    precision: str = Field(max_length=32)
    weight_type: str = Field(max_length=32)
    base_model: str = Field(default="", max_length=200)
    base_revision: str = Field(default="", pattern=r"^([0-9a-f]{40})?$", description="commit at which it was accepted")
    use_chat_template: bool = False
    private: bool = Field(default=False, description="whether the model's answers must not be public")
    suite: str = Field(max_length=100)
    suite_digest: str = Field(max_length=64)
    questions: int = Field(default=0, ge=0, le=1_000, description="of each benchmark, for a trial; 0: an evaluation")

    cross_check: CrossCheckOrder | None = Field(
        default=None, description="answers of another attempt to compute again, in place of an evaluation"
    )

    @model_serializer(mode="wrap")
    def _without_default(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out unset fields that processes of earlier versions do not know and would refuse."""
        fields: dict[str, Any] = write(self)
        absent = {name for name in ("questions", "cross_check") if not getattr(self, name)}
        return {name: value for name, value in fields.items() if name not in absent}

    def with_model(self, model: str, revision: str) -> EvaluationJob:
        """The same job for another complete model: no adapter, no delta."""
        return self.model_copy(
            update={"model": model, "revision": revision, "weight_type": "Original", "base_model": ""}
        )


def queue(connection: Redis, name: str) -> Queue:
    """The RQ queue `name`, with the JSON serializer."""
    return Queue(name, connection=connection, serializer=JSONSerializer)


def enqueue(connection: Redis, name: str, job: EvaluationJob, *, timeout: int) -> bool:
    """Put `job` into the queue unless RQ already has a job of the same attempt; return whether it did.

    `timeout` limits the whole attempt, in seconds.
    """
    # Check only that the job exists, and trust none of its content: a worker may have written it.
    if Job.exists(job.attempt, connection=connection):
        return False
    queue(connection, name).enqueue(
        EVALUATE,
        kwargs={"message": job.model_dump(mode="json")},
        job_id=job.attempt,
        job_timeout=timeout,
        result_ttl=RESULT_TTL_SECONDS,
        failure_ttl=FAILURE_TTL_SECONDS,
        description=f"{job.model} @ {job.revision[:8]}",
    )
    return True


def recall(connection: Redis, name: str, attempt: str) -> bool:
    """Remove an attempt from the queue; False if it is not in the queue, for instance because a worker took it."""
    if not connection.lrem(queue(connection, name).key, 1, attempt):
        return False
    delete(connection, attempt)
    return True


def take_out(connection: Redis, names: Sequence[str], attempt: str) -> EvaluationJob | None:
    """Take the job of `attempt` out of RQ for a worker that runs no other; None if no queue among `names` has it.

    Removing it from a queue's list decides between this worker and those that pop jobs. If the worker dies now, the
    attempt is `queued` and in no queue, and the bot queues it again. Raises BadMessage.
    """
    with connection.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.lrem(queue(connection, name).key, 1, attempt)
        if not any(pipe.execute()):
            return None
    try:
        return _fetch(connection, attempt)
    finally:
        delete(connection, attempt)


def delete(connection: Redis, attempt: str) -> None:
    """Delete the job of an attempt that is in no queue, unread. Its entries in RQ's registries expire."""
    connection.delete(Job.key_for(attempt), Job.dependents_key_for(attempt), Result.get_key(attempt))


def waiting_jobs(connection: Redis, name: str) -> dict[str, EvaluationJob]:
    """Attempt → its job, for the jobs that wait in the queue `name`, in its order. Leaves out invalid jobs."""
    waiting = {}
    for attempt in map(text, connection.lrange(queue(connection, name).key, 0, -1)):
        with suppress(BadMessage):
            waiting[attempt] = _fetch(connection, attempt)
    return waiting


def queued_attempts(connection: Redis, names: Sequence[str]) -> dict[str, str]:
    """Attempt → the queue, among `names`, in which it waits for a worker. One round trip."""
    with connection.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.lrange(queue(connection, name).key, 0, -1)
        contents = pipe.execute()
    return {text(attempt): name for name, attempts in zip(names, contents, strict=True) for attempt in attempts}


def oldest_first(connection: Redis, queues: Sequence[Queue]) -> list[Queue]:
    """`queues` ordered by the age of their first job; empty ones last. Two round trips.

    A worker that always read one queue first would starve the others.
    """
    with connection.pipeline(transaction=False) as pipe:
        for each in queues:
            pipe.lindex(each.key, 0)
        heads = [text(head) if head is not None else None for head in pipe.execute()]
        for head in heads:
            pipe.hget(Job.key_for(head or ""), "enqueued_at")
        # An entry that is no job sorts last, and must not keep the worker from taking others.
        times = [text(time) if isinstance(time, bytes) else "~" for time in pipe.execute(raise_on_error=False)]
    return [
        each for _, _, each in sorted(zip(times, range(len(times)), queues, strict=True), key=lambda item: item[:2])
    ]


def _fetch(connection: Redis, attempt: str) -> EvaluationJob:
    """Read the job of `attempt`, which any client of Redis may have written. Raises BadMessage."""
    try:
        is_too_large = connection.hstrlen(Job.key_for(attempt), "data") > MAX_JOB_BYTES
        kwargs = None if is_too_large else Job.fetch(attempt, connection=connection, serializer=JSONSerializer).kwargs
    except TRANSIENT:
        raise
    except Exception as error:  # boundary: a job that RQ cannot read, for any reason, is not Steward's
        raise BadMessage(f"the job of {attempt} cannot be read: {error}") from error
    return parse(kwargs.get("message") if isinstance(kwargs, dict) else None)


def parse(message: Any) -> EvaluationJob:
    """Parse the job in `message`. Raises BadMessage."""
    try:
        return EvaluationJob.model_validate(message)
    except ValidationError as error:
        raise BadMessage(f"not an evaluation job: {error.errors(include_url=False)}") from error
