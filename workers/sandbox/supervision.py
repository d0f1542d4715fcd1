"""Supervises one child: reads its messages and log, enforces time, memory and disk limits, reports how it ended.

The supervisor kills a child for one of these reasons only; `stopped` records which:

    time-limit     the attempt's time is up
    stalled        no progress for too long
    memory-limit   more memory than allowed
    spool-limit    more bytes written than allowed
    flood, forged  the child broke the rules of the stream
    cancelled      the request was cancelled
    handed-back    the worker stops
"""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard.evidence import MAX_TAIL, FailureEvidence
from workers.common.folders import folder_bytes
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan, RunProgress
from workers.sandbox.child import ChildOrder, ZygoteAnswer
from workers.sandbox.memory_use import MemoryUse
from workers.sandbox.sandbox_spec import SandboxSpec
from workers.sandbox.stream import (
    FailedMessage,
    FinishedMessage,
    ProgressMessage,
    StreamBroken,
    StreamFlooded,
    StreamReader,
)
from workers.sandbox.zygote_client import ZygoteBroken, ZygoteClient

SELECT_SECONDS = 0.1
"""Seconds of one wait for messages, after which the limits of time and memory are checked."""
DYING_SECONDS = 10.0
"""Seconds that a zygote may take to reap a killed child."""
FORK_SECONDS = 300.0
"""Seconds that a zygote may take to fork a child on a busy machine."""
_HIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP})
"""The errors of reading a folder that its owner can cause."""
USAGE_CHECK_SECONDS = 2.0
"""Seconds between two checks of the bytes that a child wrote."""


@dataclass(frozen=True)
class ChildExit:
    """How a child ended: `finished` with results in the spool, or failed with the facts known about the failure."""

    finished: bool
    phase: str
    stopped: str = ""
    error: FailedMessage | None = None
    exit: int | None = None
    signal: int | None = None
    peak_bytes: int = 0
    problem: str = ""

    def evidence(self, log_tail: str) -> FailureEvidence:
        """The evidence from which the failure is diagnosed."""
        message = self.error or FailedMessage(type="", text=self.problem)
        return FailureEvidence(
            self.phase,
            exception=message.type,
            text=message.text,
            chain=message.chain,
            exit_status=self.exit,
            signal=self.signal,
            stopped=self.stopped,
            log_tail=log_tail[-MAX_TAIL:],
            peak_bytes=self.peak_bytes,
            errno=message.errno,
        )


@dataclass(frozen=True)
class ChildCallbacks:
    """The caller's functions: `report` takes progress; `stop` returns a reason to stop the child, or ""."""

    report: Callable[[RunProgress], None]
    stop: Callable[[], str]
    log: BoundedLog


class ChildSupervisor:
    """Runs one child from its order to its end. Use an instance once."""

    def __init__(
        self,
        zygote_client: ZygoteClient,
        sandbox_spec: SandboxSpec,
        plan: RunPlan,
        callbacks: ChildCallbacks,
        journals: tuple[Path, ...] = (),
        offered: tuple[Path, ...] = (),
    ) -> None:
        self.zygote_client = zygote_client
        self.sandbox_spec = sandbox_spec
        self.plan = plan
        self.callbacks = callbacks
        self.journals = journals
        self.offered = offered
        self.number = zygote_client.next_number()
        self._reader = StreamReader()
        self._progress = RunProgress("start")
        self._progressed_at = time.monotonic()
        self._last_message: FailedMessage | FinishedMessage | None = None
        self._stopped = ""
        self._problem = ""
        self._keeper = 0
        self._memory = MemoryUse(zygote_client)
        self._ended: ZygoteAnswer | None = None
        self._is_over = False

    def run(self, folder: Path, *, deadline: float) -> ChildExit:
        """Run the child with its pipes in `folder`, at most until `deadline` on the monotonic clock."""
        with named_pipe(folder / "stream") as stream, named_pipe(folder / "log") as log, closing(self._memory):
            order = ChildOrder(
                number=self.number,
                sandbox_spec=self.sandbox_spec,
                plan=self.plan,
                stream=folder / "stream",
                log=folder / "log",
                journals=self.journals,
                offered=self.offered,
            )
            try:
                self.zygote_client.order(order)
                self._watch(stream, log, deadline)
            except ZygoteBroken as error:  # its children die with it: no process is left to watch
                self._problem = str(error)
                self.zygote_client.give_up()
            except BaseException:  # the child would go on without a supervisor, and keep the zygote from forking
                self.zygote_client.give_up()
                raise
            self._is_over = True
            self._drain(stream, log)
        return self._child_exit()

    def _watch(self, stream: int, log: int, deadline: float) -> None:
        open_pipes = {stream: self._listen, log: self._record}
        started, give_up = time.monotonic(), float("inf")
        next_memory_check, next_usage_check = started, started + USAGE_CHECK_SECONDS
        while self._ended is None:
            readable, _, _ = select.select([*open_pipes, self.zygote_client.descriptor], [], [], SELECT_SECONDS)
            for pipe in readable:
                if pipe == self.zygote_client.descriptor:
                    self._read_answers()
                elif not open_pipes[pipe](pipe):
                    del open_pipes[pipe]  # every writer has closed it
            now = time.monotonic()
            if not self._stopped:
                self._check_time(now, deadline)
                if now >= next_memory_check or self._ended is not None:
                    self._check_memory()
                    next_memory_check = now + SELECT_SECONDS
                if now >= next_usage_check:
                    self._check_written()
                    next_usage_check = now + USAGE_CHECK_SECONDS
            give_up = min(give_up, now + DYING_SECONDS) if self._stopped else give_up
            if now > give_up:
                raise ZygoteBroken("the zygote does not reap its child")
            if not self._keeper and now > started + FORK_SECONDS:
                raise ZygoteBroken("the zygote does not fork")

    def _check_time(self, now: float, deadline: float) -> None:
        if reason := self.callbacks.stop():
            self._kill(reason)
        elif now > deadline:
            self._kill("time-limit")
        elif now - self._progressed_at > self.plan.limits.stall_seconds:
            self._kill("stalled")

    def _check_memory(self) -> None:
        """Kill the child if it holds more memory than its limit allows, or ended because it did."""
        max_held = self.plan.limits.memory_bytes
        if max_held is None or not self._keeper:
            return
        held = self._memory.held(self._keeper)
        if held > max_held or (self._ended and self._ended.get("exit") != 0 and self._memory.is_full()):
            self._kill("memory-limit", f"it held {held >> 20} MiB, and may hold {max_held >> 20} MiB")

    def _check_written(self) -> None:
        """Kill the child if its spool and home, which share a disk, hold more than its limit allows.

        Only a child that hides files makes folders that cannot be read; another error is the machine's, and may pass.
        """
        max_bytes = self.plan.limits.spool_bytes
        if max_bytes is None:
            return
        try:
            written = sum(map(folder_bytes, (self.plan.spool, self.sandbox_spec.home)))
        except OSError as error:
            if error.errno in _HIDDEN:
                self._kill("spool-limit", f"it made folders that cannot be read: {error.strerror}")
            return
        if written > max_bytes:
            self._kill("spool-limit", f"it wrote {written >> 20} MiB, and may write {max_bytes >> 20} MiB")
        for journal in self.journals:
            if (size := journal.stat().st_size) > self.plan.journal_bytes:
                self._kill("spool-limit", f"its journal has {size:,} bytes, and may have {self.plan.journal_bytes:,}")

    def _kill(self, reason: str, problem: str = "") -> None:
        if self._stopped:
            return
        self._stopped, self._problem = reason, problem
        self.callbacks.log.say(f"the child is stopped: {reason}{': ' if problem else ''}{problem}")
        if not self._is_over:
            self.zygote_client.kill(self.number)

    def _read_answers(self) -> None:
        """Read the zygote's answers about this child. Raises ZygoteBroken if it cannot fork."""
        for answer in self.zygote_client.read_answers():
            if answer.get("forked") == self.number:
                self._keeper = int(answer["pid"])
            elif answer.get("ended") == self.number and "problem" in answer:
                raise ZygoteBroken(f"the zygote does not fork: {answer['problem']}")
            elif answer.get("ended") == self.number:
                self._ended = answer

    def _listen(self, stream: int) -> bool:
        """Read the child's messages; False once every writer has closed the stream."""
        data = _read(stream)
        if data and not self._stopped:
            try:
                for message in self._reader.feed(data, now=time.monotonic()):
                    self._handle(message)
            except StreamFlooded as error:
                self._kill("flood", str(error))
            except StreamBroken as error:
                self._kill("forged", str(error))
        return data != b""

    def _handle(self, message: Any) -> None:
        if isinstance(message, ProgressMessage):
            if message.progress != self._progress:
                self._progressed_at = time.monotonic()
            self._progress = message.progress
            self.callbacks.report(message.progress)
        elif isinstance(message, FailedMessage | FinishedMessage):
            self._last_message = message

    def _record(self, log: int) -> bool:
        """Read the child's output into the log; False once every writer has closed the pipe."""
        data = _read(log)
        self.callbacks.log.write(data or b"")
        return data != b""

    def _drain(self, stream: int, log: int) -> None:
        """Read the rest of both pipes after the child has ended."""
        for pipe, read in ((stream, self._listen), (log, self._record)):
            for _ in range(16):  # reads of 64 KiB: more than a pipe holds
                if not read(pipe):
                    break

    def _child_exit(self) -> ChildExit:
        end: ZygoteAnswer = self._ended or {}
        message = self._last_message
        stopped = self._stopped or ("" if self._ended else "handed-back")
        return ChildExit(
            finished=isinstance(message, FinishedMessage) and end.get("exit") == 0 and not stopped,
            phase=self._progress.phase,
            stopped=stopped,
            error=message if isinstance(message, FailedMessage) else None,
            exit=end.get("exit"),
            signal=None if stopped else end.get("signal"),
            peak_bytes=int(end.get("peak_bytes", 0)),
            problem=self._problem,
        )


@contextmanager
def named_pipe(path: Path) -> Iterator[int]:
    """Create a named pipe that only this user may open; yield its reading end, which never blocks."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _read(descriptor: int) -> bytes | None:
    """Read what has arrived: None if nothing has yet, b"" once every writer has closed the pipe."""
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return None
