"""The watch over one child: what it says, how long it takes, how much it holds, and how it ended.

A child is killed for one of these reasons, and only for these; the reason is kept as `stopped`:

    time-limit     the attempt's time is up
    stalled        no progress for too long
    memory-limit   it holds more memory than it may
    spool-limit    it wrote more than it may
    flood, forged  it broke the rules of the stream
    cancelled      somebody asked for it
    handed-back    the worker itself is to stop
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaderboard.evidence import MAX_TAIL, FailureEvidence
from workers.common.logs import BoundedLog
from workers.common.run_plan import RunPlan, RunProgress
from workers.sandbox.child import ChildOrder
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

SELECT_SECONDS = 0.25
"""Seconds for which it is waited without looking at the time."""
DYING_SECONDS = 10.0
"""For which a zygote may take to bury a child that was killed."""
FORK_SECONDS = 300.0
"""For which a zygote may take to fork a child, on a machine that is busy."""
USAGE_CHECK_SECONDS = 2.0
"""Seconds between two looks at what a child holds, and wrote."""


@dataclass(frozen=True)
class ChildExit:
    """How a child ended: `finished` with its results in the spool, or not, with all that is known of why."""

    finished: bool
    phase: str
    stopped: str = ""
    error: FailedMessage | None = None
    exit: int | None = None
    signal: int | None = None
    peak_bytes: int = 0
    problem: str = ""

    def evidence(self, log_tail: str) -> FailureEvidence:
        """What the diagnosis is made from."""
        told = self.error or FailedMessage(type="", text=self.problem)
        return FailureEvidence(
            self.phase,
            exception=told.type,
            text=told.text,
            chain=told.chain,
            exit_status=self.exit,
            signal=self.signal,
            stopped=self.stopped,
            log_tail=log_tail[-MAX_TAIL:],
            peak_bytes=self.peak_bytes,
        )


@dataclass(frozen=True)
class ChildCallbacks:
    """Where a child is watched from: `tell` passes its progress on, `stop` answers with a reason to stop it, or ""."""

    tell: Callable[[RunProgress], None]
    stop: Callable[[], str]
    log: BoundedLog


class ChildSupervisor:
    """One child, from order to end. Use once."""

    def __init__(
        self, zygote_client: ZygoteClient, sandbox_spec: SandboxSpec, plan: RunPlan, callbacks: ChildCallbacks
    ) -> None:
        self.zygote_client = zygote_client
        self.sandbox_spec = sandbox_spec
        self.plan = plan
        self.callbacks = callbacks
        self.number = zygote_client.next_number()
        self._reader = StreamReader()
        self._progress = RunProgress("start")
        self._moved = time.monotonic()
        self._last_message: FailedMessage | FinishedMessage | None = None
        self._stopped = ""
        self._problem = ""
        self._init_pid = 0
        self._ended: dict[str, Any] | None = None

    def run(self, folder: Path, *, deadline: float) -> ChildExit:
        """Run the child, with its pipes in `folder`, until `deadline` (monotonic) at most."""
        with named_pipe(folder / "stream") as stream, named_pipe(folder / "log") as log:
            order = ChildOrder(
                number=self.number,
                sandbox_spec=self.sandbox_spec,
                plan=self.plan,
                stream=folder / "stream",
                log=folder / "log",
            )
            try:
                self.zygote_client.order(order)
                self._watch(stream, log, deadline)
            except ZygoteBroken as error:  # its children die with it: nothing is left to watch
                self._problem = str(error)
                self.zygote_client.give_up()
            self._drain(stream, log)
        return self._ending()

    def _watch(self, stream: int, log: int, deadline: float) -> None:
        open_pipes = {stream: self._listen, log: self._record}
        began, give_up = time.monotonic(), float("inf")
        look_at = began + USAGE_CHECK_SECONDS
        while self._ended is None:
            readable, _, _ = select.select([*open_pipes, self.zygote_client.descriptor], [], [], SELECT_SECONDS)
            for pipe in readable:
                if pipe == self.zygote_client.descriptor:
                    self._hear()
                elif not open_pipes[pipe](pipe):
                    del open_pipes[pipe]  # closed by all who wrote to it
            now = time.monotonic()
            if not self._stopped:
                self._check(now, deadline)
                if now >= look_at:
                    self._check_use()
                    look_at = now + USAGE_CHECK_SECONDS
            give_up = min(give_up, now + DYING_SECONDS) if self._stopped else give_up
            if now > give_up:
                raise ZygoteBroken("the zygote does not bury its child")
            if not self._init_pid and now > began + FORK_SECONDS:
                raise ZygoteBroken("the zygote does not fork")

    def _check(self, now: float, deadline: float) -> None:
        if reason := self.callbacks.stop():
            self._kill(reason)
        elif now > deadline:
            self._kill("time-limit")
        elif now - self._moved > self.plan.limits.stall_seconds:
            self._kill("stalled")

    def _check_use(self) -> None:
        """Look at what the child wrote, and at the memory that it holds."""
        may_write, may_hold = self.plan.limits.spool_bytes, self.plan.limits.memory_bytes
        if may_write is not None:
            self._check_written(may_write)
        if may_hold is not None and self._init_pid and (held := anonymous_bytes(self._init_pid)) > may_hold:
            self._kill("memory-limit", f"it held {held >> 20} MiB, and may hold {may_hold >> 20} MiB")

    def _check_written(self, most: int) -> None:
        """Its home lies on the same disk as its spool; nothing but a child that hides something makes odd folders."""
        try:
            written = sum(map(folder_bytes, (self.plan.spool, self.sandbox_spec.home)))
        except OSError as error:
            self._kill("spool-limit", f"it made folders that cannot be looked into: {error.strerror}")
            return
        if written > most:
            self._kill("spool-limit", f"it wrote {written >> 20} MiB, and may write {most >> 20} MiB")

    def _kill(self, reason: str, problem: str = "") -> None:
        if self._stopped:
            return
        self._stopped, self._problem = reason, problem
        self.callbacks.log.say(f"the child is stopped: {reason}{': ' if problem else ''}{problem}")
        self.zygote_client.kill(self.number)

    def _hear(self) -> None:
        for answer in self.zygote_client.hear():
            if answer.get("forked") == self.number:
                self._init_pid = int(answer["pid"])
            elif answer.get("ended") == self.number and "problem" in answer:
                raise ZygoteBroken(f"the zygote does not fork: {answer['problem']}")
            elif answer.get("ended") == self.number:
                self._ended = answer

    def _listen(self, stream: int) -> bool:
        """Read what the child says; False once nobody can say more."""
        data = _read(stream)
        if data and not self._stopped:
            try:
                for message in self._reader.feed(data, now=time.monotonic()):
                    self._take(message)
            except StreamFlooded as error:
                self._kill("flood", str(error))
            except StreamBroken as error:
                self._kill("forged", str(error))
        return data != b""

    def _take(self, message: Any) -> None:
        if isinstance(message, ProgressMessage):
            if message.progress != self._progress:
                self._moved = time.monotonic()
            self._progress = message.progress
            self.callbacks.tell(message.progress)
        elif isinstance(message, FailedMessage | FinishedMessage):
            self._last_message = message

    def _record(self, log: int) -> bool:
        """Read what the child prints; False once nobody can print more."""
        data = _read(log)
        self.callbacks.log.write(data or b"")
        return data != b""

    def _drain(self, stream: int, log: int) -> None:
        """Read what is left in the pipes when the child has ended."""
        for pipe, read in ((stream, self._listen), (log, self._record)):
            for _ in range(16):  # more than a pipe holds
                if not read(pipe):
                    break

    def _ending(self) -> ChildExit:
        ended = self._ended or {}
        said = self._last_message
        stopped = self._stopped or ("" if self._ended else "handed-back")
        return ChildExit(
            finished=isinstance(said, FinishedMessage) and ended.get("exit") == 0 and not stopped,
            phase=self._progress.phase,
            stopped=stopped,
            error=said if isinstance(said, FailedMessage) else None,
            exit=ended.get("exit"),
            signal=None if stopped else ended.get("signal"),
            peak_bytes=int(ended.get("peak_bytes", 0)),
            problem=self._problem,
        )


@contextmanager
def named_pipe(path: Path) -> Iterator[int]:
    """A named pipe that only this user may open, and its reading end, which never waits."""
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
        path.unlink(missing_ok=True)


def _read(descriptor: int) -> bytes | None:
    """What is there; None where that is nothing yet, b"" where nothing can come any more."""
    try:
        return os.read(descriptor, 65536)
    except BlockingIOError:
        return None


def anonymous_bytes(init_pid: int) -> int:
    """Memory that the processes below `keeper` hold and nobody can take back: no file behind it.

    The keeper, and process 1 of the child's namespace, hold only what they share with the zygote: they do not count.
    """
    below = [pid for child in children(init_pid) for pid in children(child)] or children(init_pid)
    seen: list[int] = []
    while below:
        seen += below
        below = [pid for parent in below for pid in children(parent)]
    return sum(_anonymous(pid) for pid in seen)


def children(pid: int) -> list[int]:
    """Process ids of the children of `pid`; none where it is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def folder_bytes(folder: Path) -> int:
    """Bytes of the files below `folder`, links not followed.

    Raises OSError where a folder cannot be looked into: it is locked, or too deep for a path.
    """
    total, left = 0, [str(folder)]
    while left:
        with suppress(FileNotFoundError), os.scandir(left.pop()) as found:
            for entry in found:
                if entry.is_dir(follow_symlinks=False):
                    left.append(entry.path)
                else:
                    with suppress(FileNotFoundError):
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def _anonymous(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon:", "RssShmem:")))
