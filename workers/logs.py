"""The log of one attempt, bounded: its beginning and its end are kept, and what was cut is said.

Progress bars draw themselves again and again over the same line; only their last state is kept, as on a terminal.
"""

from __future__ import annotations

HEAD = 64 * 1024
TAIL = 160 * 1024
MAX_LINE = 8 * 1024


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
        self._store(b"".join(_redrawn(line.removesuffix(b"\r")) + b"\n" for line in lines))
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
        between = b"\n" if self._unfinished else b""
        self.write(between + f"[worker] {sentence}\n".encode("utf-8", "replace"))

    def text(self) -> str:
        """All that is held, with a line where something was cut."""
        middle = f"\n[… {self.cut} bytes were cut here …]\n".encode() if self.cut else b""
        return (bytes(self._head) + middle + bytes(self._tail) + self._unfinished).decode("utf-8", "replace")

    def tail(self, lines: int = 30) -> str:
        """The last lines."""
        end = bytes((self._tail or self._head)[-2 * MAX_LINE :]) + self._unfinished
        return "\n".join(end.decode("utf-8", "replace").splitlines()[-lines:])


def _redrawn(line: bytes) -> bytes:
    """What a terminal would show of `line`: what was written after the last return to its beginning."""
    return line.rpartition(b"\r")[2]
