"""Waits for a condition: the only way in which tests wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(
    condition: Callable[[], T],
    *,
    seconds: float = 60.0,
    interval: float = 0.02,
    describe: str | Callable[[], object] = "",
    check: Callable[[], object] | None = None,
) -> T:
    """Call `condition` until it returns a true value, and return that value.

    `check` runs between two calls; what it raises ends the wait, e.g. because a process has died.
    A condition that takes long is called less often, so that it takes a tenth of the time, but every half second at
    least: the processes that the test waits for need the processor. After `seconds` the test fails with the last value
    and with `describe`.
    """
    began = time.monotonic()
    deadline = began + seconds
    while True:
        value = condition()
        if value:
            return value
        now = time.monotonic()
        if now > deadline:
            name = getattr(condition, "__qualname__", condition)
            words = describe() if callable(describe) else describe
            raise AssertionError(f"still {value!r} after {seconds} s: {name} {words}".rstrip())
        if check is not None:
            check()
        time.sleep(max(interval, min(0.5, 9 * (now - began))))
        began = time.monotonic()
