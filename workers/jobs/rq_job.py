"""RQ's jobs and timers, restricted: jobs run evaluations only, and timers interrupt nothing.

A client that can write to Redis must not be able to run other code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.timeouts import BaseDeathPenalty

from redis_state.jobs import EVALUATE, MAX_JOB_BYTES


class JobRefused(PermissionError):
    """The job names another function than the evaluation."""


class EvaluationOnlyJob(Job):  # type: ignore[misc]  # rq is typed in part
    """A job that can only evaluate, whatever Redis holds."""

    success_callback = failure_callback = stopped_callback = None

    @property
    def func(self) -> Callable[..., Any]:
        """The evaluation. Raises JobRefused if the job names another function."""
        if self.func_name != EVALUATE:
            raise JobRefused(f"{self.func_name!r} is not run here")
        return super().func  # type: ignore[no-any-return]

    def restore(self, raw_data: Any) -> Any:
        """Read the job from Redis. Raises NoSuchJobError if it is invalid or too large: RQ compresses jobs, and a small
        one may unpack to more than there is memory."""
        if sum(len(value) for value in raw_data.values()) > MAX_JOB_BYTES:
            raise NoSuchJobError(f"{self.id} is too large to be a job")
        try:
            return super().restore(raw_data)
        except Exception as error:  # boundary: a job that RQ cannot read, for any reason, is not Steward's
            raise NoSuchJobError(f"{self.id} is no job: {error}") from error

    def send_webhooks(self, *_: Any, **__: Any) -> None:
        """Send no webhooks."""


class NoDeathPenalty(BaseDeathPenalty):  # type: ignore[misc]  # rq is typed in part
    """Replaces RQ's timer, which raises at a random place: worker and job compare the clock where they can stop."""

    def setup_death_penalty(self) -> None:
        """Set no timer."""

    def cancel_death_penalty(self) -> None:
        """Do nothing: no timer is set."""
