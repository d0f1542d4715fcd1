"""Exclusive use of devices: workers that share devices and a work folder run their children one after the other.

Two workers on the same devices keep them busy when attempts are short: one computes while the other publishes and
prepares. Each device has one kernel file lock, which ends with the process that holds it. Locks are taken in sorted
order, so that workers with overlapping devices do not deadlock.
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

POLL_SECONDS = 0.02
CPU_LOCK_NAME = "cpu"


@contextmanager
def device_lock(folder: Path, devices: Sequence[Device], stop: Callable[[], str]) -> Iterator[float]:
    """Hold the locks of `devices`, or that of the CPU if there are none; yield the seconds spent waiting.

    Raises AttemptStopped if `stop` gives a reason meanwhile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with ExitStack() as locks:
        for name in sorted(device.uuid for device in devices) or [CPU_LOCK_NAME]:
            _lock_device(locks.enter_context((folder / f"{name}.lock").open("ab")), stop)
        yield time.monotonic() - began


def _lock_device(file: IO[bytes], stop: Callable[[], str]) -> None:
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if reason := stop():
                raise AttemptStopped(reason) from None
            time.sleep(POLL_SECONDS)
        else:
            return
