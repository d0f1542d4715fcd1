"""What a child may say to its worker: a bounded, typed stream of JSON lines over a pipe.

    Started (once, first) → Progress (any number) → Finished or Failed (once, last)

The child runs a stranger's model, so the reader believes nothing: every line has a maximal length and a schema, the
order is checked, and a token bucket bounds how much may come in how much time. Whoever breaks a rule is told apart:
Flood (too much, too fast) and Forged (not a word of this language, or out of turn).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from leaderboard.evidence import MAX_CHAIN, MAX_NAME, MAX_TEXT
from workers.common.diagnosis import exception_chain
from workers.common.run_plan import RunProgress
from workers.errors import WorkerError

MAX_LINE = 128 * 1024  # a trace of escapes fits
BURST = 256 * 1024
PER_SECOND = 4 * 1024
MAX_COUNT = 1_000_000_000
MAX_TRACE = 12_000
"""Characters of the end of a trace."""


class StreamBroken(WorkerError):
    """The child broke the rules of the stream; it is to be killed."""


class StreamFlooded(StreamBroken):
    """More than a child has to say."""


class ForgedMessage(StreamBroken):
    """Not a message of a child, or one out of turn."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StartedMessage(_Message):
    """The child is behind its walls and begins."""

    kind: Literal["started"] = "started"


class ProgressMessage(_Message):
    """How far the child is."""

    kind: Literal["progress"] = "progress"
    phase: str = Field(pattern=r"^[a-z][a-z-]{0,31}$")
    done: int = Field(ge=0, le=MAX_COUNT)
    total: int = Field(ge=0, le=MAX_COUNT)

    @property
    def progress(self) -> RunProgress:
        """The same as a plain value."""
        return RunProgress(self.phase, self.done, self.total)


class FinishedMessage(_Message):
    """The child has written what it found into its spool."""

    kind: Literal["finished"] = "finished"


class FailedMessage(_Message):
    """The evaluation raised; the words are the child's, cut to size."""

    kind: Literal["failed"] = "failed"
    type: str = Field(max_length=MAX_NAME)
    text: str = Field(max_length=MAX_TEXT)
    chain: tuple[Annotated[str, Field(max_length=MAX_NAME)], ...] = Field(default=(), max_length=MAX_CHAIN)
    trace: str = Field(default="", max_length=MAX_TRACE)


Message = Annotated[StartedMessage | ProgressMessage | FinishedMessage | FailedMessage, Field(discriminator="kind")]
_MESSAGE: TypeAdapter[StartedMessage | ProgressMessage | FinishedMessage | FailedMessage] = TypeAdapter(Message)


class StreamReader:
    """Bytes in, messages out. Raises Flood or Forged, after which nothing more is to be read."""

    def __init__(self, *, burst: float = BURST, per_second: float = PER_SECOND) -> None:
        self._burst = burst
        self._per_second = per_second
        self._allowance = burst
        self._filled: float | None = None
        self._rest = b""
        self._said: set[str] = set()

    def feed(
        self, data: bytes, *, now: float
    ) -> list[StartedMessage | ProgressMessage | FinishedMessage | FailedMessage]:
        """The messages that `data` completes; `now` is a monotonic time in seconds."""
        self._charge(len(data), now)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE or any(len(line) > MAX_LINE for line in lines):
            raise StreamFlooded(f"a line of more than {MAX_LINE} bytes")
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
            kinds = ", ".join(sorted({problem["type"] for problem in error.errors()}))  # ours to say, not the child's
            raise ForgedMessage(f"not a message of a child: {kinds[:200]}") from error
        if message.kind == "started" and self._said:
            raise ForgedMessage("started twice")
        if message.kind in ("progress", "finished") and "started" not in self._said:
            raise ForgedMessage(f"{message.kind} before started")
        if self._said & {"finished", "failed"}:
            raise ForgedMessage(f"{message.kind} after the end")
        self._said.add(message.kind)
        return message


class StreamWriter:
    """The child's end. Progress is thinned out: a change of phase at once, else at most once in `every` seconds."""

    def __init__(self, descriptor: int, *, every: float = 0.5, clock: Callable[[], float] = time.monotonic) -> None:
        self._descriptor = descriptor
        self._every = every
        self._clock = clock
        self._last = RunProgress("")
        self._sent = float("-inf")

    def send(self, message: StartedMessage | ProgressMessage | FinishedMessage | FailedMessage) -> None:
        """Write one message, whole."""
        data = message.model_dump_json().encode() + b"\n"
        while data:
            data = data[os.write(self._descriptor, data) :]

    def report(self, progress: RunProgress) -> None:
        """Send `progress` unless the same phase was sent a moment ago; the last step of a phase always goes."""
        now = self._clock()
        complete = progress.done == progress.total and progress.total > 0 and progress != self._last
        if progress.phase != self._last.phase or complete or now - self._sent >= self._every:
            self.send(ProgressMessage(phase=progress.phase, done=progress.done, total=progress.total))
            self._last, self._sent = progress, now

    def failed(self, error: BaseException, trace: str) -> None:
        """Send what `error` says, cut to size: the beginning of its text, the end of its trace."""
        name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
        text, end = _cut(str(error), MAX_TEXT), _clean(trace)[-MAX_TRACE:]
        self.send(
            FailedMessage(
                type=_clean(name)[:MAX_NAME], text=text, chain=tuple(map(_clean, exception_chain(error))), trace=end
            )
        )


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "�")


def _cut(text: str, limit: int) -> str:
    text = _clean(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
