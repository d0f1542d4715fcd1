"""RQ's jobs and timers, restricted: jobs run evaluations only, and timers interrupt nothing.

A client that can write to Redis must not be able to run other code.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
    """Replaces RQ's timer in a job's process: the job limits its own time; a timer would raise at a random place."""

    def setup_death_penalty(self) -> None:
        """Set no timer."""

    def cancel_death_penalty(self) -> None:
        """Do nothing: no timer is set."""


@contextmanager
def deferred_alarm() -> Iterator[None]:
    """Raise an alarm of RQ that goes off inside the block right after the block. Use in the main thread only.

    RQ ends a worker's wait for its job by raising in a signal handler. In the middle of a pipeline to Redis, that would
    leave answers unread, and the next command would read them as its own.
    """
    signals: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda number, _frame: signals.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
    if signals:
        signal.raise_signal(signal.SIGALRM)
