"""Ends a process within a time limit after a signal, even while its threads wait.

Threads wait where no flag reaches them: for a Hub that hangs (minutes, with all retries), an unresponsive Redis, git,
or a lock of another thread; and Python's shutdown waits for all threads. So a timer starts with the signal, and work
that is not done when it fires is abandoned as by kill -9, which every effect must survive anyway.
"""

from __future__ import annotations

import _thread
import math
import os
import signal
import time
from collections.abc import Callable

_POLL_SECONDS = 0.2
"""Seconds between two checks whether a signal has come."""
_LOG_SECONDS = 0.2
"""Seconds for the last log line, whose write may block as well."""


class Stop:
    """An event that says whether this process should end, and may be set in a signal handler.

    Closes two races of `threading.Event`: its `set` takes the lock of its `wait`, so a handler that interrupts the
    waiting thread while it holds the lock waits forever; and a signal right before an unlimited wait is not handled
    until the wait ends.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Ask the process to end."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether the process should end."""
        return self._is_set

    def wait(self, seconds: float = math.inf) -> bool:
        """Wait until it is set, or for `seconds`; return whether it is set."""
        deadline = time.monotonic() + seconds
        while not self._is_set and (seconds_left := deadline - time.monotonic()) > 0:
            time.sleep(min(seconds_left, _POLL_SECONDS))
        return self._is_set


Say = Callable[[str], object]
"""Writes a line to the log."""


def stop_on(*numbers: signal.Signals, within: float | None = None, say: Say = print) -> Stop:
    """A Stop that these signals set. If the process has not ended `within` these seconds, it exits at once."""
    stop = Stop()

    def handle(_number: int, _frame: object) -> None:
        if not stop.is_set() and within is not None:
            exit_in(within, say)
        stop.set()

    for number in numbers:
        signal.signal(number, handle)
    return stop


def exit_in(seconds: float, say: Say) -> None:
    """End this process with status 0 after `seconds`, if it has not ended. May be called in a signal handler."""
    # No Thread or Timer: starting one takes a lock, which the interrupted thread may hold.
    _thread.start_new_thread(_exit, (seconds, say))


def _exit(seconds: float, say: Say) -> None:
    time.sleep(seconds)
    line = f"asked to stop {seconds:g} s ago, and not done: abandons the work in progress, as a kill would"
    _thread.start_new_thread(say, (line,))
    time.sleep(_LOG_SECONDS)
    os._exit(0)
