"""A job as our worker reads it: an evaluation, or nothing. Whoever can write to Redis must not be able to do more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.timeouts import BaseDeathPenalty

from redis_state.jobs import EVALUATE

MAX_JOB_BYTES = 64 * 1024
"""Bytes that a job may hold in Redis. RQ's packing makes a thousandth of what it packs at best: 64 MB unfolded."""


class JobRefused(PermissionError):
    """A job that asks for something else than an evaluation."""


class EvaluationOnlyJob(Job):  # type: ignore[misc]  # rq is typed in part
    """A job that can do nothing but evaluate, whatever stands in Redis."""

    success_callback = failure_callback = stopped_callback = None

    @property
    def func(self) -> Callable[..., Any]:
        """The one function; raises Refused where the job names another."""
        if self.func_name != EVALUATE:
            raise JobRefused(f"{self.func_name!r} is not run here")
        return super().func  # type: ignore[no-any-return]

    def restore(self, raw_data: Any) -> Any:
        """Read what Redis holds of the job. Raises NoSuchJobError where that is none, or more than any of ours has: RQ
        packs jobs, and a small packet may unfold to more than there is memory."""
        if sum(len(value) for value in raw_data.values()) > MAX_JOB_BYTES:
            raise NoSuchJobError(f"{self.id} is too large to be a job")
        try:
            return super().restore(raw_data)
        except Exception as error:  # boundary: whatever RQ stumbles over, it is no job of ours
            raise NoSuchJobError(f"{self.id} is no job: {error}") from error

    def send_webhooks(self, *_: Any, **__: Any) -> None:
        """Call nobody."""


class NoDeathPenalty(BaseDeathPenalty):  # type: ignore[misc]  # rq is typed in part
    """RQ's timer in the process of a job, which has its own: an exception in the middle of anything helps nobody."""

    def setup_death_penalty(self) -> None:
        """Set no timer."""

    def cancel_death_penalty(self) -> None:
        """There is none."""
