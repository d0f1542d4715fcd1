"""The retry policy for calls.

A read is repeated after every transient error. A write that is not idempotent is repeated only after a response that
proves that nothing happened: 429, 409, or no connection. Idempotent writes (compare-and-swap, markers) read the Hub
first and then decide; see `writes.py` and `threads.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import stamina

from hub.errors import Busy, HubError, NotFound, RateLimited, Transient, Unreachable

T = TypeVar("T")

_WITHOUT_EFFECT = (Unreachable, Busy, RateLimited)
"""Errors that prove that the call changed nothing."""
_TEMPORARY = (Transient, *_WITHOUT_EFFECT)
"""Errors after which the same call may succeed."""


def unless_gone(read: Callable[[], T], gone: type[NotFound] = NotFound) -> T | None:
    """Return `read()`; None after two 404s of the class `gone`: one may come from a server of the Hub that lags."""
    for _ in range(2):
        with suppress(gone):
            return read()
    return None


@dataclass(frozen=True)
class Retries:
    """The retry settings of a client. Times in seconds.

    `timeout` bounds the sum of all waits of one call. `patience` is the longest rate limit that a call waits for; a
    longer one raises RateLimited, because the caller can do other work meanwhile.
    """

    attempts: int = 5
    wait_initial: float = 0.2
    wait_max: float = 8.0
    jitter: float = 0.5
    timeout: float = 60.0
    patience: float = 5.0

    def call(self, action: Callable[[], T], *, repeatable: bool) -> T:
        """Return `action()`, repeating it after errors that `repeatable` allows. Raises its last HubError."""
        return self.until(action, on=_TEMPORARY if repeatable else _WITHOUT_EFFECT)

    def until(self, action: Callable[[], T], *, on: tuple[type[HubError], ...], attempts: int | None = None) -> T:
        """Return `action()`, repeating it after the errors in `on`; for actions that read the Hub before each write."""

        def again(error: Exception) -> bool | float:
            if not isinstance(error, on):
                return False
            if isinstance(error, RateLimited):
                # All refused calls of this window may be repeated at the same second: spread them out.
                jitter = random.uniform(0, self.jitter)  # noqa: S311 - no secret
                return error.seconds + jitter if error.seconds <= self.patience else False
            return True

        for attempt in stamina.retry_context(
            on=again,
            attempts=attempts or self.attempts,
            timeout=self.timeout,
            wait_initial=self.wait_initial,
            wait_max=self.wait_max,
            wait_jitter=self.jitter,
        ):
            with attempt:
                return action()
        raise AssertionError("stamina ends with the action's result or its error")
