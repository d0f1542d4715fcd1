"""Data parallelism: if one copy of a child process dies, all copies end; several copies give the scores of one.

`test_scores` compares copies that compute with the harness alone; here they use the shared-prefix engine.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from leaderboard.steward_block import engine_use
from tests.support.workers.child_runs import evaluate_by_prefix
from tests.support.workers.evaluation_script import __file__ as evaluation_script
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

KILLED = """
import os, signal, time
from workers.evaluation import data_parallel

data_parallel.start_copies(2, on_cpu=True, body=lambda: os.kill(os.getpid(), signal.SIGKILL), stream=1)
time.sleep(60)
"""

WRONG_IN_ONE = f"""
import os, runpy
from workers.evaluation.shared_prefix import caches

select = caches._select
caches._select = lambda *given: select(*given) * (1.01 if os.environ.get("RANK") == "1" else 1)
runpy.run_path({evaluation_script!r}, run_name="__main__")
"""
"""Evaluates plans; if there are two copies, the shared-prefix engine of the second one computes wrong values."""


def test_a_copy_that_dies_ends_all_and_one_says_why() -> None:
    """A copy that dies ends all copies, and one of them reports the error."""
    process = subprocess.run([sys.executable, "-c", DYING], capture_output=True, timeout=30, check=False)
    assert process.returncode == data_parallel.EXIT_FAILED
    (message,) = StreamReader().feed(b'{"kind":"started"}\n' + process.stdout, now=0.0)[1:]
    assert isinstance(message, FailedMessage)
    assert (message.type, message.text[:17]) == ("ValueError", "no room for rank ")


def test_a_copy_that_the_kernel_kills_ends_all_by_the_same_signal() -> None:
    """If the kernel kills a copy, the process ends by the same signal, so that the worker learns the cause."""
    done = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.long("fifteen seconds of processor time")
@pytest.mark.timeout(600)
def test_copies_give_the_same_scores_even_if_one_falls_back_to_the_harness(tmp_path: Path) -> None:
    """If the engine of one of two copies is wrong, that copy uses the harness: same scores, and results say so."""
    together = {"spread": "copies", "copies": 2}
    spools = evaluate_by_prefix(tmp_path, ("-c", WRONG_IN_ONE), alone={}, together=together)
    alone, both = (json.loads((spool / "results.json").read_text()) for spool in spools.values())
    assert both["results"] == alone["results"]
    use, use_of_both = engine_use(alone), engine_use(both)
    assert use is not None
    assert use_of_both is not None
    assert (use.engine, use.reason) == ("shared-prefix", "")
    assert use_of_both.engine == "shared-prefix"
    assert 64 <= use.compared < use_of_both.compared
    assert use_of_both.reason.startswith("1 of 2 copies: a log-likelihood is")
