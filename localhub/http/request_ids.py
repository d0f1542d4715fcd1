"""A name for every answer, by which caller and log can speak of the same call."""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PLAIN = re.compile(r"[A-Za-z0-9=;:_-]{1,100}")


class RequestIdMiddleware:
    """Middleware: `X-Request-Id` on every answer, the caller's own trace id where it sent one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-amzn-trace-id", "")
        request_id = given if _PLAIN.fullmatch(given) else str(uuid.uuid4())

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("X-Request-Id", request_id)
            await send(message)

        await self.app(scope, receive, sending)
