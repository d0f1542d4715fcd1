"""The canary: a model that is known to work, run before an attempt where one cause has struck many models.

A few questions of each task are enough to see whether harness, questions and machine still do what they should.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import redis

from redis_state.canaries import Canaries, CanaryVerdict
from redis_state.jobs import EvaluationJob
from workers.common.run_plan import RunPlan
from workers.errors import CanaryFailed
from workers.jobs.background_call import AttemptStopped
from workers.jobs.outbox import BoardRedis
from workers.models.tiny_model import model

log = logging.getLogger(__name__)

NAME = "steward/canary"
REVISION = "0" * 40
QUESTIONS = 3
"""How many of each task it is asked."""


def ensure_canary_model(folder: Path) -> Path:
    """The folder of the tiny model; written where it is not there yet."""
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in model().items():
            (folder / name).write_bytes(data)
        (folder / "complete").touch()
    return folder


def canary_job(canary: str, job: EvaluationJob) -> EvaluationJob:
    """What to fetch for the canary `model@commit` in the place of `job`'s model."""
    name, _, revision = canary.partition("@")
    return job.model_copy(update={"model": name, "revision": revision, "weight_type": "Original", "base_model": ""})


def canary_plan(plan: RunPlan, folder: Path) -> RunPlan:
    """`plan` for the canary in `folder`: on the same device, with the same questions, but only a few."""
    changes = {
        "model": NAME,
        "revision": REVISION,
        "model_path": folder,
        "weight_type": "Original",
        "base_model": "",
        "base_revision": "",
        "base_path": None,
        "dtype": "float32",
        "quantisation": {},
        "spread": "one",
        "copies": 1,
        "use_chat_template": False,
        "limit": QUESTIONS,
    }
    return plan.model_copy(update=changes)


def run_canary(board_redis: BoardRedis, suite: str, worker: str, evaluate_canary: Callable[[], str]) -> None:
    """Where a canary of `suite` is asked for: `fly()` it, which says what it died of, and tell the bot.

    Raises CanaryFailed where it died, and Stopped as `fly` does: then another worker may take it.
    """
    found = _claim_canary(board_redis, suite, worker)
    if found is None:
        return
    canaries, cause = found
    try:
        died_of = evaluate_canary()
    except AttemptStopped:
        with suppress(redis.RedisError):  # then it is free when its time is over
            canaries.release()
        raise
    _tell(board_redis, canaries, CanaryVerdict(cause=cause, died_of=died_of[:500], worker=worker))
    if died_of:
        raise CanaryFailed(died_of)


def report_canary_failure(board_redis: BoardRedis, suite: str, worker: str, cause: str, words: str) -> None:
    """No attempt can begin, because of `cause` (say, the questions changed), and so no canary could.

    Where one of `suite` is asked for because of that very cause, it counts as dead of it. Raises nothing.
    """
    found = _claim_canary(board_redis, suite, worker)
    if found is None:
        return
    canaries, asked = found
    if asked == cause:
        _tell(board_redis, canaries, CanaryVerdict(cause=cause, died_of=f"{cause} ({words})"[:500], worker=worker))
        return
    with suppress(redis.RedisError):  # then it is free when its time is over
        canaries.release()


def _claim_canary(board_redis: BoardRedis, suite: str, worker: str) -> tuple[Canaries, str] | None:
    """The canary that `worker` is to run now, and the cause; None where there is none, or Redis is away."""
    try:
        attempts = board_redis.attempts()
        canaries = Canaries(attempts.redis, attempts.keys, suite)
        cause = canaries.take(worker)
    except redis.RedisError as error:
        log.warning("whether a canary is asked for is not known: %s", error)
        return None
    return (canaries, cause) if cause is not None else None


def _tell(board_redis: BoardRedis, canaries: Canaries, verdict: CanaryVerdict) -> None:
    """Report, and wake the bot; where Redis is away, another worker runs it again."""
    try:
        canaries.report(verdict)
        board_redis.mark_key(canaries.key)
    except redis.RedisError as error:
        log.warning("the canary's verdict could not be told: %s", error)
