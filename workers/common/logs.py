"""The log of one attempt, bounded: its beginning and its end are kept, and what was cut is said.

Progress bars draw themselves again and again over the same line; only their last state is kept, as on a terminal. What
else a terminal would obey (colours, its title, its clipboard) is left out: people read logs in terminals. The worker's
own lines can be told from a child's that look like them.
"""

from __future__ import annotations

import re

HEAD = 64 * 1024
TAIL = 160 * 1024
MAX_LINE = 8 * 1024
WORKER_PREFIX = b"[worker]"
_TERMINAL_CONTROLS = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
"""Sequences that a terminal obeys, and single characters."""


class BoundedLog:
    """Takes any number of bytes and holds at most `head + tail` of them, and one unfinished line."""

    def __init__(self, *, head: int = HEAD, tail: int = TAIL) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._limits = (head, tail)
        self._unfinished = b""
        self.cut = 0

    def write(self, data: bytes) -> None:
        """Take `data`."""
        *lines, last = (self._unfinished + data).split(b"\n")
        self._store(b"".join(_quoted(_redrawn(line.removesuffix(b"\r"))) + b"\n" for line in lines))
        # A carriage return at the end may be half a line break: it stays until the rest has come.
        self._unfinished = _redrawn(last.removesuffix(b"\r")) + (b"\r" if last.endswith(b"\r") else b"")
        if len(self._unfinished) > MAX_LINE:
            self._store(self._unfinished)
            self._unfinished = b""

    def _store(self, data: bytes) -> None:
        head, tail = self._limits
        room = head - len(self._head)
        self._head += data[:room]
        self._tail += data[max(0, room) :]
        surplus = len(self._tail) - tail
        if surplus > 0:
            del self._tail[:surplus]
            self.cut += surplus

    def say(self, sentence: str) -> None:
        """Take a line of the worker's own."""
        if self._unfinished:
            self.write(b"\n")
        first, *more = sentence.encode("utf-8", "replace").splitlines() or [b""]
        self._store(b"".join(line + b"\n" for line in (WORKER_PREFIX + b" " + first, *map(_quoted, more))))

    def text(self) -> str:
        """All that is held, with a line where something was cut."""
        middle = f"\n[… {self.cut} bytes were cut here …]\n".encode() if self.cut else b""
        return _plain(bytes(self._head) + middle + bytes(self._tail) + _quoted(self._unfinished))

    def tail(self, lines: int = 30) -> str:
        """The last lines."""
        end = bytes((self._tail or self._head)[-2 * MAX_LINE :]) + _quoted(self._unfinished)
        return "\n".join(_plain(end).splitlines()[-lines:])


def _redrawn(line: bytes) -> bytes:
    """What a terminal would show of `line`: what was written after the last return to its beginning."""
    return line.rpartition(b"\r")[2]


def _quoted(line: bytes) -> bytes:
    """A child's line, which must not pass for one of ours."""
    return b"| " + line if line.lstrip().startswith(WORKER_PREFIX) else line


def _plain(data: bytes) -> str:
    return _TERMINAL_CONTROLS.sub("", data.decode("utf-8", "replace"))
