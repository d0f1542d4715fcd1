"""The message that makes a worker evaluate a model: JSON, versioned, and nothing but data.

Jobs travel in RQ with its JSON serializer. Whoever can write to Redis can ask for an evaluation, but cannot make
anybody run code: the function is named here and looked up by the worker, and every field is checked again there.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rq import Queue
from rq.serializers import JSONSerializer

from leaderboard.attempts import ATTEMPT_ID
from wire.errors import BadMessage
from wire.redis import Redis

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
    use_chat_template: bool = False
    suite: str = Field(max_length=100)
    suite_digest: str = Field(max_length=64)


def queue(connection: Redis, name: str) -> Queue:
    """The RQ queue `name`, spoken in JSON."""
    return Queue(name, connection=connection, serializer=JSONSerializer)


def enqueue(connection: Redis, name: str, job: EvaluationJob, *, timeout: int) -> bool:
    """Put `job` into the queue unless the same attempt is there already; says whether it was put.

    `timeout` is in seconds: how long the whole attempt may take.
    """
    jobs = queue(connection, name)
    if jobs.fetch_job(job.attempt) is not None:
        return False
    jobs.enqueue(
        EVALUATE,
        kwargs={"message": job.model_dump(mode="json")},
        job_id=job.attempt,
        job_timeout=timeout,
        result_ttl=RESULT_TTL,
        failure_ttl=FAILURE_TTL,
        description=f"{job.model} @ {job.revision[:8]}",
    )
    return True


def parse(message: Any) -> EvaluationJob:
    """The job in `message`; raises BadMessage where it is none."""
    try:
        return EvaluationJob.model_validate(message)
    except ValidationError as error:
        raise BadMessage(f"not an evaluation job: {error.errors(include_url=False)}") from error
