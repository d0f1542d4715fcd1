"""A process that is asked to stop ends in time, even if its threads wait."""

from __future__ import annotations

import signal
import subprocess
import sys

STUCK = """
import signal, sys, threading
from redis_state.stopping import stop_on
stop = stop_on(signal.SIGTERM, within=0.3, say=lambda words: print(words, file=sys.stderr))
threading.Thread(target=threading.Event().wait).start()
print("ready", flush=True)
print(stop.wait(), flush=True)
"""
RINGING = """
import signal
from redis_state.stopping import Stop
stop = Stop()
signal.signal(signal.SIGALRM, lambda *_: stop.set())
for rings in range(10_000):
    signal.setitimer(signal.ITIMER_REAL, 2e-5)
    while not stop.wait(1e-5):
        pass
    stop = Stop()
"""


def test_a_thread_that_waits_for_ever_does_not_keep_the_process() -> None:
    """The process exits in time with status 0 and a log line, although Python's shutdown would wait."""
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "True\n")
    assert "asked to stop 0.3 s ago" in err


def test_a_stop_may_be_set_in_the_middle_of_waiting_for_it() -> None:
    """A signal at any moment of a wait sets the event, and is never lost."""
    subprocess.run([sys.executable, "-c", RINGING], check=True, timeout=120)
