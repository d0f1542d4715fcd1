"""When a call is repeated, and how long it waits before.

A read is repeated after anything that may pass. A write whose effect cannot be told apart from a second one is
repeated only after an answer that proves that nothing happened: 429, 409, or no connection at all. Writes that can
prove themselves (compare-and-swap, markers) look at the Hub first and then decide; see `writes.py` and `threads.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import stamina

from hub.errors import Busy, HubError, RateLimited, Transient, Unreachable

T = TypeVar("T")

_WITHOUT_EFFECT = (Unreachable, Busy, RateLimited)
_PASSING = (Transient, *_WITHOUT_EFFECT)


@dataclass(frozen=True)
class Retries:
    """How patient a Hub is. Times in seconds.

    `timeout` bounds the waits of one call all together. `patience` is the longest that a call sleeps out a rate limit
    by itself; a longer one is raised, for the caller has a queue of other things to do meanwhile.
    """

    attempts: int = 5
    wait_initial: float = 0.2
    wait_max: float = 8.0
    jitter: float = 0.5
    timeout: float = 60.0
    patience: float = 5.0

    def call(self, action: Callable[[], T], *, repeatable: bool) -> T:
        """`action()`, repeated while it fails in a way that `repeatable` permits. Raises its last HubError."""
        return self.until(action, on=_PASSING if repeatable else _WITHOUT_EFFECT)

    def until(self, action: Callable[[], T], *, on: tuple[type[HubError], ...], attempts: int | None = None) -> T:
        """`action()`, repeated after the errors in `on`; for actions that look at the Hub before they write again."""

        def again(error: Exception) -> bool | float:
            if not isinstance(error, on):
                return False
            if isinstance(error, RateLimited):
                # Everybody who was refused in this window is let in at the same second: spread them out.
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
