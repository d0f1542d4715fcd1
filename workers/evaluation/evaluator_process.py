"""Runs an evaluator other than lm-eval inside the child: writes its plan, relays its progress, raises its failure.

The evaluator is a process of the child's sandbox, with the same limits. It inherits the log as standard output and
error, and a pipe for its progress; neither the worker's stream nor any other descriptor. Its files are those of
`leaderboard.evaluator_contract`; the worker checks them once the child has ended
(`workers.publication.evaluator_results`).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from pydantic import ValidationError

from leaderboard.evaluator_contract import (
    ATTACHMENTS,
    CONTRACT,
    FAILURE,
    MAX_FILE_BYTES,
    MAX_PROGRESS_BYTES,
    PLAN,
    PLAN_VARIABLE,
    PROGRESS_VARIABLE,
    SAMPLES,
    EvaluatorFailure,
    EvaluatorPlan,
    EvaluatorProgress,
    PlannedBaseModel,
    PlannedDevices,
    PlannedLimits,
    PlannedModel,
    PlannedQuestions,
    PlannedTask,
)
from leaderboard.evaluators import EvaluatorIdentity
from leaderboard.reasons import bounded, describe_errors
from workers.common.run_plan import EvaluatorCommand, Report, RunPlan, RunProgress
from workers.errors import EvaluatorEnded, EvaluatorFilesInvalid, EvaluatorGaveUp, EvaluatorMissing, ModelRefused
from workers.evaluation.placement import DTYPES
from workers.models import checkpoint

_FATAL = frozenset({
    signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGSYS,
    signal.SIGXFSZ,
})  # fmt: skip
"""Signals of the kernel and of crashes: the child ends with the same one, so that the failure has the same cause."""
_SHELL = 128
"""A shell ends with 128 + n if its command was ended by the signal n."""

_LAST_READS = 16
"""The most reads of 64 KiB after the evaluator has ended: together more than a pipe holds."""


def run_evaluator(plan: RunPlan, report: Report) -> None:
    """Run the evaluator of `plan` in its spool. Raises EvaluationFailed unless it ends with status 0."""
    assert plan.evaluator is not None
    for folder in (SAMPLES, ATTACHMENTS):
        (plan.spool / folder).mkdir()
    (plan.spool / PLAN).write_text(evaluator_plan(plan).model_dump_json(indent=2), "utf-8")
    report(RunProgress("evaluate"))
    reader, writer = os.pipe()
    process = _start(plan.evaluator, plan.spool, writer)
    os.close(writer)
    try:
        _relay(reader, process, report)
    except EvaluatorFilesInvalid:
        process.kill()
        raise
    _raise_failure(plan.spool / FAILURE)
    _check_status(process.wait())


def evaluator_plan(plan: RunPlan) -> EvaluatorPlan:
    """The part of `plan` that the evaluator gets."""
    command = plan.evaluator
    assert command is not None
    devices = PlannedDevices(
        device=plan.device, spread=plan.spread, copies=plan.copies, batch_size=plan.batch_size, threads=plan.threads
    )
    limits = PlannedLimits(
        seconds=plan.limits.max_seconds,
        stall_seconds=plan.limits.stall_seconds,
        memory_bytes=plan.limits.memory_bytes,
        disk_bytes=plan.limits.spool_bytes,
    )
    return EvaluatorPlan(
        contract=CONTRACT,
        mode="evaluate" if plan.stored is None else "score",
        evaluator=EvaluatorIdentity(name=command.name, version=command.version),
        model=_planned_model(plan),
        devices=devices,
        seed=plan.seed,
        questions=tuple(_questions(plan)) if plan.stored is None else (),
        stored=str(plan.stored) if plan.stored is not None else None,
        tasks=tuple(
            PlannedTask(
                name=task,
                metrics=metrics,
                shots=plan.shots.get(task, 0),
                withdrawn=plan.withdrawn.get(task, ()),
            )
            for task, metrics in command.metrics.items()
        ),
        limit=plan.limit,
        limits=limits,
        options=command.options,
    )


def _planned_model(plan: RunPlan) -> PlannedModel:
    base = None
    if plan.base_path is not None:
        base = PlannedBaseModel(name=plan.base_model, revision=plan.base_revision, folder=str(plan.base_path))
    return PlannedModel(
        name=plan.model,
        revision=plan.revision,
        folder=str(plan.model_path) if plan.stored is None else "",
        weight_type=plan.weight_type,
        base=base,
        dtype=_planned_dtype(plan),
        quantisation=plan.quantisation,
        use_chat_template=plan.use_chat_template,
    )


def _planned_dtype(plan: RunPlan) -> str:
    """The dtype of the plan; instead of `auto`, which is not a dtype, the one that a quantised checkpoint names."""
    if plan.dtype != "auto":
        return plan.dtype
    named = checkpoint.named_dtype(checkpoint.read_config(plan.base_path or plan.model_path))
    return named if named in DTYPES else "float16"


def _questions(plan: RunPlan) -> list[PlannedQuestions]:
    """The datasets of the plan, under the suite's names even where the board has copies of them."""
    named = {copy: repo for repo, copy in plan.moved.items()}
    return [
        PlannedQuestions(repo=named.get(repo, repo), revision=revision, folder=str(plan.datasets / repo))
        for repo, revision in plan.revisions.items()
    ]


def _start(command: EvaluatorCommand, folder: Path, progress: int) -> subprocess.Popen[bytes]:
    """Start the command; raises EvaluatorMissing. Another interpreter must not import this process's packages."""
    own = command.words[0] == sys.executable
    environment = {name: value for name, value in os.environ.items() if own or name != "PYTHONPATH"}
    environment |= {PLAN_VARIABLE: str(folder / PLAN), PROGRESS_VARIABLE: str(progress)}
    try:
        return subprocess.Popen(
            command.words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, pass_fds=(progress,)
        )
    except OSError as error:
        raise EvaluatorMissing(f"{Path(command.words[0]).name}: {error.strerror}") from error


def _relay(reader: int, process: subprocess.Popen[bytes], report: Report) -> None:
    """Report the lines of progress until the evaluator ends, even if processes that it leaves go on.

    Raises EvaluatorFilesInvalid.
    """
    ended = os.pidfd_open(process.pid)
    waiting, rest, reads_left = [reader, ended], b"", _LAST_READS
    try:
        while reads_left:
            readable, _, _ = select.select(waiting, [], [])
            data = os.read(reader, 65536) if reader in readable else b""
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _report_line(line, report)
            if len(rest) > MAX_PROGRESS_BYTES:
                raise EvaluatorFilesInvalid(f"a line of progress has more than {MAX_PROGRESS_BYTES:,} bytes")
            if ended in readable:
                reads_left = reads_left - 1 if data else 0
            elif not data:  # every writer has closed the pipe
                waiting = [ended]
    finally:
        os.close(ended)
        os.close(reader)


def _report_line(line: bytes, report: Report) -> None:
    if not line.strip():
        return
    try:
        progress = EvaluatorProgress.model_validate_json(line)
    except ValidationError as error:
        words = bounded(describe_errors(error, limit=2))
        raise EvaluatorFilesInvalid(f"a line of progress is invalid: {words}") from error
    report(RunProgress("evaluate", progress.done, progress.total))


def _raise_failure(path: Path) -> None:
    """Raise the failure that the evaluator reports in failure.json, if it left one."""
    if not path.is_file() or path.is_symlink():
        return
    with path.open("rb") as file:
        data = file.read(MAX_FILE_BYTES)
    try:
        failure = EvaluatorFailure.model_validate_json(data)
    except ValidationError as error:
        raise EvaluatorFilesInvalid(f"{FAILURE}: {bounded(describe_errors(error, limit=3))}") from error
    raised = ModelRefused if failure.fault == "model" else EvaluatorGaveUp
    raise raised(bounded(failure.message, 300))


def _check_status(status: int) -> None:
    """Raise EvaluatorEnded unless `status` is 0; after a fatal signal, end this process by the same signal."""
    if status == 0:
        return
    number = -status if status < 0 else status - _SHELL
    if number in _FATAL:
        _end_by(number)
    if status < 0:
        raise EvaluatorEnded(f"it was ended by the signal {number}; the log has its last lines")
    raise EvaluatorEnded(f"it ended with status {status}; the log has its last lines")


def _end_by(number: int) -> NoReturn:
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    raise AssertionError("the signal ends this process")
