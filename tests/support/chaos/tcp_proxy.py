"""A TCP proxy between one process and a server, which a test, or a pattern in the passing bytes, can cut."""

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
"""Bytes of each direction that a trigger reads again with the next piece, as a message may come in two pieces."""


@dataclass
class CutTrigger:
    """Cuts, once it is set, the first of its proxies through which a match of `words` passes, and no other."""

    words: re.Pattern[bytes]
    side: Literal["asked", "answered"]
    keeps: bool
    """Whether the bytes that fire it are held back too: after a held answer the caller does not know the outcome."""
    set: threading.Event = field(default_factory=threading.Event)
    cut_proxy: TcpProxy | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fires(self, proxy: TcpProxy, side: str, data: bytes) -> bool:
        """Whether `data` sets off the cut, which happens once."""
        if side != self.side or not self.set.is_set() or not self.words.search(data):
            return False
        with self._lock:
            if self.cut_proxy is not None:
                return False
            self.cut_proxy = proxy
        return True


class TcpProxy:
    """Forwards bytes to `port` of this machine.

    While it is cut, it forwards nothing and loses nothing; while it refuses, it closes connections.
    """

    def __init__(self, port: int, name: str = "", triggers: Sequence[CutTrigger] = ()) -> None:
        self.name = name
        self.server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.server.getsockname()[1]
        self.refuses = False
        self.calls: list[float] = []
        """Time of each new connection, by `time.monotonic`."""
        self._target = port
        self._triggers = triggers
        self._whole = threading.Event()
        self._whole.set()
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Stop forwarding, without closing a connection."""
        self.refuses = False
        self._whole.clear()

    def heal(self) -> None:
        """Forward what arrived meanwhile, and go on."""
        self.refuses = False
        self._whole.set()

    def forget(self) -> None:
        """Forward new connections; open ones stay silent forever, and are not closed."""
        self.refuses = False
        self._whole = threading.Event()
        self._whole.set()

    def refuse(self) -> None:
        """Close all open connections, and every new one at once."""
        self.refuses = True
        self._whole.set()
        for end in list(self._ends):
            _close(end)

    def close(self) -> None:
        """Stop the proxy."""
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
                trigger = next((trigger for trigger in self._triggers if trigger.fires(self, side, seen)), None)
                if trigger is not None and trigger.keeps:
                    self.cut()
                whole.wait()
                if self.refuses:
                    return  # closed by `refuse`: the remaining bytes are lost
                sink.sendall(data)
                if trigger is not None:
                    seen = b""
                    if not trigger.keeps:
                        self.cut()
        except OSError:
            pass  # one side closed its connection: close the other one
        finally:
            for end in (source, sink):
                _close(end)
                self._ends.discard(end)


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it was closed before
        end.shutdown(socket.SHUT_RDWR)
    end.close()
