"""One attempt, from the fork of the zygote to its end: pipes first, then the walls, then the evaluation."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from pydantic import BaseModel, ConfigDict

from workers.common.run_plan import STREAM, Report, RunPlan
from workers.sandbox.isolation import confine
from workers.sandbox.sandbox_spec import IsolationMode, SandboxSpec
from workers.sandbox.stream import FinishedMessage, StartedMessage, StreamWriter

Evaluate = Callable[[RunPlan, Report], None]

LOG = 1


class ChildOrder(BaseModel):
    """What the worker wants of the zygote: a child that runs `plan` in `box` and speaks through two named pipes.

    Both pipes are opened for reading before the order is given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    sandbox_spec: SandboxSpec
    plan: RunPlan
    stream: Path
    log: Path


def run(order: ChildOrder, mode: IsolationMode, evaluate: Evaluate) -> NoReturn:
    """Become the child of `order`. Call it in a process that was forked for this."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _connect(order)
    confine(order.sandbox_spec, mode, lambda: attempt(order.plan, evaluate, StreamWriter(STREAM)))


def _connect(order: ChildOrder) -> None:
    """Standard output and error to the log, descriptor 3 to the stream, and nothing else of the zygote's open."""
    # Without a reader this fails at once instead of waiting for one.
    log = os.open(order.log, os.O_WRONLY | os.O_NONBLOCK)
    stream = os.open(order.stream, os.O_WRONLY | os.O_NONBLOCK)
    nothing = os.open(os.devnull, os.O_RDONLY)
    high = [os.dup2(descriptor, 60 + i) for i, descriptor in enumerate((nothing, log, log, stream))]
    for target, descriptor in enumerate(high):
        os.dup2(descriptor, target)
        os.set_blocking(target, True)
    os.closerange(STREAM + 1, 4096)


def attempt(plan: RunPlan, evaluate: Evaluate, stream: StreamWriter) -> None:
    """Evaluate and say how it went. What is raised is told over the stream; the process then ends with status 1."""
    stream.send(StartedMessage())
    try:
        evaluate(plan, stream.report)
    except BaseException as error:  # noqa: BLE001  # boundary: whatever an evaluation dies of is told to the worker
        trace = traceback.format_exc()
        sys.stderr.write(trace)
        sys.stderr.flush()
        stream.failed(error, trace)
        os._exit(1)
    stream.send(FinishedMessage())
