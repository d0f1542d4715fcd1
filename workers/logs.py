"""The log of one attempt, bounded: its beginning and its end are kept, and what was cut is said."""

from __future__ import annotations

HEAD = 64 * 1024
TAIL = 160 * 1024


class BoundedLog:
    """Takes any number of bytes and holds at most `head + tail` of them."""

    def __init__(self, *, head: int = HEAD, tail: int = TAIL) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._limits = (head, tail)
        self.cut = 0

    def write(self, data: bytes) -> None:
        """Take `data`."""
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
        self.write(f"[worker] {sentence}\n".encode())

    def text(self) -> str:
        """All that is held, with a line where something was cut."""
        middle = f"\n[… {self.cut} bytes were cut here …]\n".encode() if self.cut else b""
        return (bytes(self._head) + middle + bytes(self._tail)).decode("utf-8", "replace")

    def tail(self, lines: int = 30) -> str:
        """The last lines."""
        return "\n".join((self._tail or self._head)[-16_384:].decode("utf-8", "replace").splitlines()[-lines:])
