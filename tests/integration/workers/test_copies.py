"""Data parallel: a copy of a child that dies ends them all. That copies find what one finds: `test_scores`."""

from __future__ import annotations

import subprocess
import sys

from workers.evaluation import data_parallel
from workers.sandbox.stream import FailedMessage, StreamReader

DYING = """
import os, sys, time
from workers.evaluation import data_parallel

def body():
    raise ValueError("no room for rank " + os.environ["RANK"])

data_parallel.start_copies(3, on_cpu=True, body=body, stream=1)
time.sleep(60)
"""


def test_a_copy_that_dies_ends_all_and_one_says_why() -> None:
    """A copy that dies ends all copies, and one of them reports the error."""
    done = subprocess.run([sys.executable, "-c", DYING], capture_output=True, timeout=30, check=False)
    assert done.returncode == data_parallel.EXIT_FAILED
    (message,) = StreamReader().feed(b'{"kind":"started"}\n' + done.stdout, now=0.0)[1:]
    assert isinstance(message, FailedMessage)
    assert (message.type, message.text[:17]) == ("ValueError", "no room for rank ")
