"""A localhub that alters some answers, for tests of programs that have to notice it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub.app import serve_app
from localhub.server import Server, ServerThread
from localhub.world import open_hub


@dataclass(frozen=True)
class Alteration:
    """An alteration of calls that match the pattern `call` (`GET /api/*/refs`, also with a query).

    `request` changes the body of the request. If the answer has the status `of` (None: any), it gets the new `status`
    and `headers`, of which None removes a header, and `body` changes its JSON.
    """

    call: str
    of: int | None = None
    status: int | None = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    body: Callable[[Any], Any] | None = None
    request: Callable[[bytes], bytes] | None = None

    def concerns(self, scope: Scope) -> bool:
        """Whether the call matches `call`."""
        if scope["type"] != "http":
            return False
        call = f"{scope['method']} {scope['path']}"
        whole = f"{call}?{scope['query_string'].decode('latin-1')}"
        return fnmatchcase(call, self.call) or fnmatchcase(whole, self.call)

    def altered(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[int, Any, bytes]:
        """Return the answer after the alteration."""
        if self.of is not None and status != self.of:
            return status, headers, body
        if self.body is not None and body:
            body = json.dumps(self.body(json.loads(body))).encode()
        given = {name.lower().encode(): value for name, value in {**self.headers, "Content-Length": None}.items()}
        kept = [(name, value) for name, value in headers if name not in given]
        added = [(name, value.encode()) for name, value in given.items() if value is not None]
        length = [(b"content-length", str(len(body)).encode())] if status != 304 else []
        return self.status or status, [*kept, *added, *length], body


class AlteringMiddleware:
    """Middleware that applies the present alteration, if there is one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.alteration: Alteration | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        alteration = self.alteration
        if alteration is None or not alteration.concerns(scope):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        parts: list[bytes] = []

        async def gather(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                status, headers, body = alteration.altered(start["status"], list(start["headers"]), b"".join(parts))
                await send({**start, "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive if alteration.request is None else _changed(receive, alteration.request), gather)


def _changed(receive: Receive, change: Callable[[bytes], bytes]) -> Receive:
    """Return a `receive` that returns the whole changed body in one message."""

    async def receive_changed() -> Message:
        body = b""
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return message
            body += message.get("body", b"")
            if not message.get("more_body"):
                return {"type": "http.request", "body": change(body), "more_body": False}

    return receive_changed


class AlteredHub:
    """A Hub in this process, at `url`; `alteration` may be set and removed at any time."""

    def __init__(self, data: Path, world: Mapping[str, Any]) -> None:
        self.state = open_hub(data, world)
        server = Server(self.state)
        self._middleware = AlteringMiddleware(serve_app(self.state))
        server.uvicorn.config.app = self._middleware
        self.url = server.url
        self._thread = ServerThread(server)

    @property
    def alteration(self) -> Alteration | None:
        """The present alteration."""
        return self._middleware.alteration

    @alteration.setter
    def alteration(self, alteration: Alteration | None) -> None:
        self._middleware.alteration = alteration

    def close(self) -> None:
        """Stop the Hub."""
        self._thread.stop()
        self.state.close()


# --- changes for alterations


def without(*names: str) -> Callable[[Any], Any]:
    """Return a change that removes fields at any depth."""

    def change(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: change(item) for name, item in value.items() if name not in names}
        return [change(item) for item in value] if isinstance(value, list) else value

    return change


def with_fields(**fields: Any) -> Callable[[Any], Any]:
    """Return a change that sets fields of an object."""
    return lambda value: {**value, **fields}


def replaced(old: str, new: str) -> Callable[[Any], Any]:
    """Return a change of the answer's JSON text."""
    return lambda value: json.loads(re.sub(old, new, json.dumps(value)))


def sent(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return a change of the body that arrives at the Hub."""
    return lambda body: re.sub(old, new, body)
