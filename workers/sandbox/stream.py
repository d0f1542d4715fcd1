"""The messages of a child to its worker: a bounded, typed stream of JSON lines over a pipe.

    Started (once, first) → Progress (any number) → Finished or Failed (once, last)

The child runs an untrusted model, so the reader trusts nothing: each line has a maximal length and a schema, the order
is checked, and a token bucket limits the rate. Violations raise StreamFlooded (too much or too fast) or ForgedMessage
(not a message, or out of order).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from leaderboard.evidence import MAX_CHAIN, MAX_ERRNO, MAX_NAME, MAX_TEXT
from workers.common.diagnosis import errno_of, exception_chain
from workers.common.run_plan import RunProgress
from workers.errors import WorkerError

MAX_LINE_BYTES = 128 * 1024  # a trace whose characters are all escaped fits
BURST_BYTES = 256 * 1024
BYTES_PER_SECOND = 4 * 1024
MAX_COUNT = 1_000_000_000
MAX_TRACE = 12_000
"""Characters of the end of a trace that are sent."""


class StreamBroken(WorkerError):
    """The child broke the rules of the stream; the worker kills it."""


class StreamFlooded(StreamBroken):
    """The child sent too much, or too fast."""


class ForgedMessage(StreamBroken):
    """The child sent something that is not a message, or a message out of order."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StartedMessage(_Message):
    """The child is isolated and begins to evaluate."""

    kind: Literal["started"] = "started"


class ProgressMessage(_Message):
    """The child's progress."""

    kind: Literal["progress"] = "progress"
    phase: str = Field(pattern=r"^[a-z][a-z-]{0,31}$")
    done: int = Field(ge=0, le=MAX_COUNT)
    total: int = Field(ge=0, le=MAX_COUNT)
    replayed: int = Field(default=0, ge=0, le=MAX_COUNT)

    @property
    def progress(self) -> RunProgress:
        """The progress as a plain value."""
        return RunProgress(self.phase, self.done, self.total, self.replayed)


class FinishedMessage(_Message):
    """The child has written its results to its spool."""

    kind: Literal["finished"] = "finished"


class FailedMessage(_Message):
    """The evaluation raised an exception; its texts come from the child, cut to their limits."""

    kind: Literal["failed"] = "failed"
    type: str = Field(max_length=MAX_NAME)
    text: str = Field(max_length=MAX_TEXT)
    chain: tuple[Annotated[str, Field(max_length=MAX_NAME)], ...] = Field(default=(), max_length=MAX_CHAIN)
    trace: str = Field(default="", max_length=MAX_TRACE)
    errno: int | None = Field(default=None, ge=0, le=MAX_ERRNO)


Message = Annotated[StartedMessage | ProgressMessage | FinishedMessage | FailedMessage, Field(discriminator="kind")]
_MESSAGE: TypeAdapter[StartedMessage | ProgressMessage | FinishedMessage | FailedMessage] = TypeAdapter(Message)


class StreamReader:
    """Parses bytes into messages. After StreamFlooded or ForgedMessage the caller must not read on."""

    def __init__(self, *, burst: float = BURST_BYTES, per_second: float = BYTES_PER_SECOND) -> None:
        self._burst = burst
        self._per_second = per_second
        self._allowance = burst
        self._filled: float | None = None
        self._rest = b""
        self._kinds: set[str] = set()

    def feed(
        self, data: bytes, *, now: float
    ) -> list[StartedMessage | ProgressMessage | FinishedMessage | FailedMessage]:
        """The messages that `data` completes; `now` is a monotonic time in seconds."""
        self._charge(len(data), now)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE_BYTES or any(len(line) > MAX_LINE_BYTES for line in lines):
            raise StreamFlooded(f"a line of more than {MAX_LINE_BYTES} bytes")
        return [self._message(line) for line in lines]

    def _charge(self, count: int, now: float) -> None:
        elapsed = 0.0 if self._filled is None else max(0.0, now - self._filled)
        self._filled = now
        self._allowance = min(self._burst, self._allowance + elapsed * self._per_second) - count
        if self._allowance < 0:
            raise StreamFlooded(f"more than {self._burst:.0f} bytes at once, or {self._per_second:.0f} a second")

    def _message(self, line: bytes) -> StartedMessage | ProgressMessage | FinishedMessage | FailedMessage:
        try:
            message = _MESSAGE.validate_json(line)
        except ValidationError as error:
            kinds = ", ".join(sorted({problem["type"] for problem in error.errors()}))  # pydantic's, not the child's
            raise ForgedMessage(f"not a message of a child: {kinds[:200]}") from error
        if message.kind == "started" and self._kinds:
            raise ForgedMessage("started twice")
        if message.kind in ("progress", "finished") and "started" not in self._kinds:
            raise ForgedMessage(f"{message.kind} before started")
        if self._kinds & {"finished", "failed"}:
            raise ForgedMessage(f"{message.kind} after the end")
        self._kinds.add(message.kind)
        return message


class StreamWriter:
    """The child's end. Sends a change of phase at once, other progress at most once every `every` seconds."""

    def __init__(self, descriptor: int, *, every: float = 0.5, clock: Callable[[], float] = time.monotonic) -> None:
        self._descriptor = descriptor
        self._every = every
        self._clock = clock
        self._last = RunProgress("")
        self._sent = float("-inf")

    def send(self, message: StartedMessage | ProgressMessage | FinishedMessage | FailedMessage) -> None:
        """Write one complete message."""
        data = message.model_dump_json().encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]

    def report(self, progress: RunProgress) -> None:
        """Send `progress` unless the same phase was sent just before; always send the last step of a phase."""
        now = self._clock()
        complete = progress.done == progress.total and progress.total > 0 and progress != self._last
        if progress.phase != self._last.phase or complete or now - self._sent >= self._every:
            self.send(
                ProgressMessage(
                    phase=progress.phase, done=progress.done, total=progress.total, replayed=progress.replayed
                )
            )
            self._last, self._sent = progress, now

    def failed(self, error: BaseException, trace: str) -> None:
        """Send `error`, cut to the limits: the beginning of its text, the end of its trace."""
        name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        text, end = _cut(str(error), MAX_TEXT), _clean(trace)[-MAX_TRACE:]
        self.send(
            FailedMessage(
                type=_clean(name)[:MAX_NAME],
                text=text,
                chain=tuple(map(_clean, exception_chain(error))),
                trace=end,
                errno=errno_of(error),
            )
        )


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "�")


def _cut(text: str, limit: int) -> str:
    text = _clean(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
