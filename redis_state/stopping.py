"""The end of a process that is told to stop: in time, whatever its threads wait for.

They wait in places that no flag reaches: for a Hub that hangs (minutes, with all its repetitions), a Redis that says
nothing, git, a lock that another of them holds; and Python's own end waits for all of them. So a clock runs from the
signal on, and what is not done by then is left as kill -9 would leave it, which every effect has to bear anyway.
"""

from __future__ import annotations

import _thread
import math
import os
import signal
import time
from collections.abc import Callable

_LOOK_EVERY = 0.2
"""Seconds between two looks whether a signal has come."""
_LAST_WORDS = 0.2
"""Seconds in which to say that we leave: whoever writes may wait as well."""


class Stop:
    """Whether this process is to end: an event that may be set in a signal handler.

    Races closed, both of which `threading.Event` has: it is set and waited for under one lock, for which a handler
    would wait for ever that interrupts the waiting thread while that holds it; and a signal that comes right before a
    wait without end begins is not looked at until that ends.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """It is."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it is."""
        return self._is_set

    def wait(self, seconds: float = math.inf) -> bool:
        """Return when it is set, at most a moment later, or after `seconds`; whether it is set."""
        until = time.monotonic() + seconds
        while not self._is_set and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _LOOK_EVERY))
        return self._is_set


Say = Callable[[str], object]
"""Tells whoever reads the log."""


def stop_on(*numbers: signal.Signals, within: float | None = None, say: Say = print) -> Stop:
    """Set when one of these signals comes; where the process is not gone `within` so many seconds, it leaves all."""
    stop = Stop()

    def told(_number: int, _frame: object) -> None:
        if not stop.is_set() and within is not None:
            exit_in(within, say)
        stop.set()

    for number in numbers:
        signal.signal(number, told)
    return stop


def exit_in(seconds: float, say: Say) -> None:
    """End this process in `seconds`, with status 0, if it has not ended by then. May be called in a signal handler."""
    # Neither a Thread nor a Timer: starting one takes a lock, which the interrupted thread may hold.
    _thread.start_new_thread(_exit, (seconds, say))


def _exit(seconds: float, say: Say) -> None:
    time.sleep(seconds)
    words = f"told to stop {seconds:g} s ago, and not done: what is under way is left as a kill would leave it"
    _thread.start_new_thread(say, (words,))
    time.sleep(_LAST_WORDS)
    os._exit(0)
