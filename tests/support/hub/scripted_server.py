"""A web server with scripted responses, for cases that a real Hub cannot produce on demand."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from hub.retries import Retries

QUICK = Retries(attempts=4, wait_initial=0.001, wait_max=0.01, jitter=0.0, timeout=10, patience=1.0)
"""Retries with hardly any waits."""


@dataclass(frozen=True)
class Reply:
    """One response. `body` may be an endless iterator; `cut` closes the connection; `hang` waits for the test's end."""

    status: int = 200
    body: Any = b"{}"
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hang: bool = False


@dataclass(frozen=True)
class ReceivedRequest:
    """One request that the server received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def file_headers(data: bytes, commit: str = "c" * 40) -> dict[str, str]:
    """Return the headers with which the Hub describes a file of this content."""
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    return {"X-Repo-Commit": commit, "ETag": f'"{blob}"'}


class Script:
    """Sends `replies` in order, and repeats the last one; records requests in `asked`."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[ReceivedRequest] = []
        self.sent = 0  # bytes of streamed bodies
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def say(self, *replies: Reply) -> None:
        self.replies, self.asked = list(replies), []

    def _handler(script) -> type[BaseHTTPRequestHandler]:  # noqa: N805 - `self` is the handler's
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                script.asked.append(ReceivedRequest(self.command, self.path, headers, body))
                reply = script.replies.pop(0) if len(script.replies) > 1 else script.replies[0]
                if reply.hang:
                    script._ended.wait(30)
                if reply.cut or reply.hang:
                    self.close_connection = True
                    return
                with suppress(OSError):  # the client may have read enough
                    script._write(self, reply)

            do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815 - the names that http.server calls

            def log_message(self, *args: Any) -> None:
                """Log nothing."""

        return Handler

    def _write(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        handler.send_response(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if isinstance(reply.body, Iterator):
            handler.send_header("Connection", "close")
            handler.end_headers()
            for chunk in reply.body:
                handler.wfile.write(chunk)
                self.sent += len(chunk)
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
