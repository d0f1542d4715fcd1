"""The message that makes a worker evaluate a model: JSON, versioned, and nothing but data.

Jobs travel in RQ with its JSON serializer. Whoever can write to Redis can ask for an evaluation, but cannot make
anybody run code: the function is named here and looked up by the worker, and every field is checked again there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rq import Queue
from rq.job import Job
from rq.results import Result
from rq.serializers import JSONSerializer

from leaderboard.attempts import ATTEMPT_ID
from redis_state.errors import BadMessage
from redis_state.redis import Redis, text

EVALUATE = "workers.jobs.evaluate"
"""The one function that RQ may call, by its dotted name: the bot never imports the workers."""

RESULT_TTL = 3600
FAILURE_TTL = 86_400


class EvaluationJob(BaseModel):
    """Evaluate `model` at `revision` with `suite`, for the request at `path`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    v: Literal[1] = 1
    board: str = Field(max_length=100)
    attempt: str = Field(pattern=ATTEMPT_ID.pattern)
    path: str = Field(max_length=1_000, description="of the request file in the requests repo")
    model: str = Field(max_length=200)
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    precision: str = Field(max_length=32)
    weight_type: str = Field(max_length=32)
    base_model: str = Field(default="", max_length=200)
    base_revision: str = Field(default="", pattern=r"^([0-9a-f]{40})?$", description="commit at which it was accepted")
    use_chat_template: bool = False
    private: bool = Field(default=False, description="whether not everybody may see what the model answered")
    suite: str = Field(max_length=100)
    suite_digest: str = Field(max_length=64)


def queue(connection: Redis, name: str) -> Queue:
    """The RQ queue `name`, spoken in JSON."""
    return Queue(name, connection=connection, serializer=JSONSerializer)


def enqueue(connection: Redis, name: str, job: EvaluationJob, *, timeout: int) -> bool:
    """Put `job` into the queue unless the same attempt is there already; says whether it was put.

    `timeout` is in seconds: how long the whole attempt may take.
    """
    # Whether it is there, and nothing that stands in it: a worker may have written that.
    if Job.exists(job.attempt, connection=connection):
        return False
    queue(connection, name).enqueue(
        EVALUATE,
        kwargs={"message": job.model_dump(mode="json")},
        job_id=job.attempt,
        job_timeout=timeout,
        result_ttl=RESULT_TTL,
        failure_ttl=FAILURE_TTL,
        description=f"{job.model} @ {job.revision[:8]}",
    )
    return True


def recall(connection: Redis, name: str, attempt: str) -> bool:
    """Take an attempt out of the queue again; False where it is not there, as when a worker was quicker."""
    if not connection.lrem(queue(connection, name).key, 1, attempt):
        return False
    delete(connection, attempt)
    return True


def delete(connection: Redis, attempt: str) -> None:
    """Forget the job of an attempt that lies in no queue any more, unread. What RQ's registries know of it lapses."""
    connection.delete(Job.key_for(attempt), Job.dependents_key_for(attempt), Result.get_key(attempt))


def queued_attempts(connection: Redis, names: Sequence[str]) -> dict[str, str]:
    """Attempt → name of the queue, of `names`, in which it lies and waits for a worker. One round trip."""
    with connection.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.lrange(queue(connection, name).key, 0, -1)
        found = pipe.execute()
    return {text(attempt): name for name, attempts in zip(names, found, strict=True) for attempt in attempts}


def oldest_first(connection: Redis, queues: Sequence[Queue]) -> list[Queue]:
    """`queues` by how long the first job of each lies there; those that are empty come last. Two round trips.

    A worker that always looked into one queue first would starve the others.
    """
    with connection.pipeline(transaction=False) as pipe:
        for one in queues:
            pipe.lindex(one.key, 0)
        heads = [text(head) if head is not None else None for head in pipe.execute()]
        for head in heads:
            pipe.hget(Job.key_for(head or ""), "enqueued_at")
        # What somebody put in the place of a job is taken last, and is no reason to take none.
        times = [text(time) if isinstance(time, bytes) else "~" for time in pipe.execute(raise_on_error=False)]
    return [one for _, _, one in sorted(zip(times, range(len(times)), queues, strict=True), key=lambda item: item[:2])]


def parse(message: Any) -> EvaluationJob:
    """The job in `message`; raises BadMessage where it is none."""
    try:
        return EvaluationJob.model_validate(message)
    except ValidationError as error:
        raise BadMessage(f"not an evaluation job: {error.errors(include_url=False)}") from error
