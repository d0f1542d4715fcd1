"""A TCP path between one process and a server that can be cut: by hand, or by what passes through it."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

KEPT = 20_000
"""Bytes of each direction that a trap looks at again with the next piece: a message may come in two."""


@dataclass
class CutTrigger:
    """Cuts the first of its cables in which `words` pass, once. Until it is set, nothing springs it."""

    words: re.Pattern[bytes]
    side: Literal["asked", "answered"]
    keeps: bool
    """Whether what sprang it is kept back as well: done, but not known to be, where it is an answer."""
    set: threading.Event = field(default_factory=threading.Event)
    sprung: TcpProxy | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def springs(self, cable: TcpProxy, side: str, data: bytes) -> bool:
        """Whether `data` springs it, which happens once."""
        if side != self.side or not self.set.is_set() or not self.words.search(data):
            return False
        with self._lock:
            if self.sprung is not None:
                return False
            self.sprung = cable
        return True


class TcpProxy:
    """Carries bytes to `port` of this machine. Cut, it hangs as behind a dead switch; refusing, it hangs up at once."""

    def __init__(self, port: int, name: str = "", traps: Sequence[CutTrigger] = ()) -> None:
        self.name = name
        self.server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.server.getsockname()[1]
        self.refuses = False
        self.calls: list[float] = []
        """When somebody knocked, by `time.monotonic`."""
        self._target = port
        self._traps = traps
        self._whole = threading.Event()
        self._whole.set()
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Nothing passes any more; nobody is told."""
        self.refuses = False
        self._whole.clear()

    def heal(self) -> None:
        """What was on its way arrives, and all is as before."""
        self.refuses = False
        self._whole.set()

    def forget(self) -> None:
        """Who calls anew gets through; what is open stays dead, and is never told."""
        self.refuses = False
        self._whole = threading.Event()
        self._whole.set()

    def refuse(self) -> None:
        """Break off what is open, and hang up on whoever comes."""
        self.refuses = True
        self._whole.set()
        for end in list(self._ends):
            _hang_up(end)

    def close(self) -> None:
        """No more."""
        self.server.close()
        self.refuse()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            self.calls.append(time.monotonic())
            if self.refuses:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._ends |= {near, far}
            for side, source, sink in (("asked", near, far), ("answered", far, near)):
                threading.Thread(target=self._carry, args=(side, source, sink, self._whole), daemon=True).start()

    def _carry(self, side: str, source: socket.socket, sink: socket.socket, whole: threading.Event) -> None:
        seen = b""
        try:
            while data := source.recv(65_536):
                seen = (seen + data)[-KEPT - len(data) :]
                trap = next((one for one in self._traps if one.springs(self, side, seen)), None)
                if trap is not None and trap.keeps:
                    self.cut()
                whole.wait()
                if self.refuses:
                    return  # broken off: what was on its way is lost
                sink.sendall(data)
                if trap is not None:
                    seen = b""
                    if not trap.keeps:
                        self.cut()
        except OSError:
            pass  # one side hung up: so does the other
        finally:
            for end in (source, sink):
                _hang_up(end)
                self._ends.discard(end)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it had hung up before
        end.shutdown(socket.SHUT_RDWR)
    end.close()
