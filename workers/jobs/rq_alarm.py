"""RQ's alarm, kept out of where it does harm.

RQ wakes a worker that waits for its job by an exception out of a signal handler, wherever that finds it. In the middle
of a pipeline to Redis it would leave answers unread, which the next command then takes for its own.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deferred_alarm() -> Iterator[None]:
    """An alarm that goes off inside the block is raised right after it. For the main thread, as all signals are."""
    went_off: list[int] = []
    handler = signal.signal(signal.SIGALRM, lambda number, _frame: went_off.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
    if went_off:
        signal.raise_signal(signal.SIGALRM)
