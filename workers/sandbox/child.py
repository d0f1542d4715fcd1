"""The child of one attempt, from the zygote's fork to its end: connects its pipes, enters the sandbox, evaluates."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypedDict

from pydantic import BaseModel, ConfigDict

from workers.common.run_plan import JOURNAL, STREAM, Report, RunPlan
from workers.errors import EvaluationFailed
from workers.sandbox.isolation import confine
from workers.sandbox.sandbox_spec import IsolationMode, SandboxSpec
from workers.sandbox.stream import FinishedMessage, StartedMessage, StreamWriter

Evaluate = Callable[[RunPlan, Report], None]


class ChildOrder(BaseModel):
    """The worker's order for a child that runs `plan` in a sandbox and writes to two named pipes.

    The worker opens both pipes for reading before it sends the order. `journals` are files of the worker, one for each
    copy of the model, which the child gets as open descriptors: it can read and write no other evaluation's. It can
    only read those that are `offered`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: int
    sandbox_spec: SandboxSpec
    plan: RunPlan
    stream: Path
    log: Path
    journals: tuple[Path, ...] = ()
    offered: tuple[Path, ...] = ()


class ExitStatus(TypedDict):
    """How a process ended: its exit code, or the signal that killed it."""

    exit: int | None
    signal: int | None


class ReadyAnswer(TypedDict):
    """The zygote's report once it is ready: see `workers.sandbox.zygote_client.ZygoteReport`."""

    mode: dict[str, Any]
    against: list[str]
    threads: int
    seconds: float


class ZygoteAnswer(TypedDict, total=False):
    """An answer of the zygote to its worker: `ready` or `broken` at start, then `forked` and `ended` for each order."""

    ready: ReadyAnswer
    broken: str
    forked: int
    pid: int
    ended: int | None
    exit: int | None
    signal: int | None
    peak_bytes: int
    problem: str


def run(order: ChildOrder, mode: IsolationMode, evaluate: Evaluate) -> NoReturn:
    """Turn this process, which was forked for it, into the child of `order`."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _connect(order)
    confine(order.sandbox_spec, mode, lambda: _evaluate(order.plan, evaluate, StreamWriter(STREAM)))


def _connect(order: ChildOrder) -> None:
    """Connect standard output and error to the log, descriptor 3 to the stream, the next ones to the journals.

    All other descriptors are closed.
    """
    # O_NONBLOCK: without a reader, open fails at once instead of waiting.
    log = os.open(order.log, os.O_WRONLY | os.O_NONBLOCK)
    stream = os.open(order.stream, os.O_WRONLY | os.O_NONBLOCK)
    empty_input = os.open(os.devnull, os.O_RDONLY)
    journals = [os.open(journal, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW) for journal in order.journals]
    journals += [os.open(journal, os.O_RDONLY | os.O_NOFOLLOW) for journal in order.offered]
    copies = [os.dup2(descriptor, 200 + i) for i, descriptor in enumerate((empty_input, log, log, stream, *journals))]
    for target, descriptor in enumerate(copies):
        os.dup2(descriptor, target)
        os.set_blocking(target, True)
    os.closerange(JOURNAL + len(journals), 4096)


def _evaluate(plan: RunPlan, evaluate: Evaluate, stream: StreamWriter) -> None:
    """Evaluate and report the result over the stream. After an exception the process ends with status 1."""
    stream.send(StartedMessage())
    try:
        evaluate(plan, stream.report)
    except BaseException as error:  # noqa: BLE001  # boundary: every error of an evaluation is reported to the worker
        trace = traceback.format_exc()
        # An EvaluationFailed is a whole sentence: the evaluator's own last lines stay the end of the log.
        sys.stderr.write("" if isinstance(error, EvaluationFailed) else trace)
        sys.stderr.flush()
        stream.failed(error, trace)
        os._exit(1)
    stream.send(FinishedMessage())
