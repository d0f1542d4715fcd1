"""Turns on a device: workers that share a set, and a work folder, run their children one after the other.

Two workers on one set keep it busy where attempts are short: while one computes, the other publishes what it found and
gets ready what comes next. A lock of the kernel's for each device; it ends with the process that holds it. Locks are
taken in one order, so that sets which overlap never wait for each other.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from workers.common.devices import Device
from workers.jobs.background_call import AttemptStopped

POLL = 0.02
CPU = "cpu"


@contextmanager
def device_lock(folder: Path, devices: Sequence[Device], stop: Callable[[], str]) -> Iterator[float]:
    """The turn on `devices`, or on the CPU; gives the seconds that it was waited for.

    Raises Stopped where `stop` gives a reason meanwhile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with ExitStack() as held:
        for name in sorted(device.uuid for device in devices) or [CPU]:
            _lock_device(held.enter_context((folder / f"{name}.lock").open("ab")), stop)
        yield time.monotonic() - began


def _lock_device(file: IO[bytes], stop: Callable[[], str]) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if reason := stop():
                raise AttemptStopped(reason) from None
            time.sleep(POLL)
        else:
            return
