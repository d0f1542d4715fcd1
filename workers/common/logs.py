"""The bounded log of one attempt: stores the beginning and the end, and notes how many bytes were cut between.

Of a progress bar that redraws its line only the last state is stored, as on a terminal. Other terminal sequences
(colours, title, clipboard) are removed, because people read logs in terminals. Lines of a child that imitate the
worker's own are quoted.
"""

from __future__ import annotations

import re

HEAD_BYTES = 64 * 1024
TAIL_BYTES = 160 * 1024
MAX_LINE_BYTES = 8 * 1024
WORKER_PREFIX = b"[worker]"
_TERMINAL_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
"""Control sequences and single control characters that a terminal obeys."""


class BoundedLog:
    """Takes any number of bytes; holds at most `head + tail` of them, and one unfinished line."""

    def __init__(self, *, head: int = HEAD_BYTES, tail: int = TAIL_BYTES) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._limits = (head, tail)
        self._unfinished = b""
        self.cut = 0

    def write(self, data: bytes) -> None:
        """Add the output `data` of a child."""
        *lines, last = (self._unfinished + data).split(b"\n")
        self._store(b"".join(_quoted(_as_shown(line.removesuffix(b"\r"))) + b"\n" for line in lines))
        # A carriage return at the end may be half a line break: it stays until the rest has come.
        self._unfinished = _as_shown(last.removesuffix(b"\r")) + (b"\r" if last.endswith(b"\r") else b"")
        if len(self._unfinished) > MAX_LINE_BYTES:
            self._store(self._unfinished)
            self._unfinished = b""

    def _store(self, data: bytes) -> None:
        head, tail = self._limits
        head_room = head - len(self._head)
        self._head += data[:head_room]
        self._tail += data[max(0, head_room) :]
        surplus = len(self._tail) - tail
        if surplus > 0:
            del self._tail[:surplus]
            self.cut += surplus

    def say(self, sentence: str) -> None:
        """Add a line of the worker's own."""
        if self._unfinished:
            self.write(b"\n")
        first, *more = sentence.encode("utf-8", "replace").splitlines() or [b""]
        self._store(b"".join(line + b"\n" for line in (WORKER_PREFIX + b" " + first, *map(_quoted, more))))

    def text(self) -> str:
        """The stored log, cut at whole lines, as half a secret is not recognised; a line says how much was cut."""
        head, tail, cut = bytes(self._head), bytes(self._tail), self.cut
        if cut:
            begin, end = tail.find(b"\n", 0, MAX_LINE_BYTES), head.rfind(b"\n", -MAX_LINE_BYTES)
            head, tail = head[: end + 1] if end >= 0 else head, tail[begin + 1 :]
            cut += len(self._head) + len(self._tail) - len(head) - len(tail)
        middle = f"\n[… {cut} bytes were cut here …]\n".encode() if cut else b""
        return _plain(head + middle + tail + _quoted(self._unfinished))

    def tail(self, lines: int = 30) -> str:
        """The last `lines` lines of the log."""
        end = bytes((self._tail or self._head)[-2 * MAX_LINE_BYTES :]) + _quoted(self._unfinished)
        return "\n".join(_plain(end).splitlines()[-lines:])


def _as_shown(line: bytes) -> bytes:
    """The part of `line` after its last carriage return, which is what a terminal shows."""
    return line.rpartition(b"\r")[2]


def _quoted(line: bytes) -> bytes:
    """A child's line, quoted if it imitates one of the worker's."""
    return b"| " + line if line.lstrip().startswith(WORKER_PREFIX) else line


def _plain(data: bytes) -> str:
    return _TERMINAL_CONTROLS.sub("", data.decode("utf-8", "replace"))
