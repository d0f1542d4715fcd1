"""Request ids, which identify a call to its client."""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PLAIN = re.compile(r"[A-Za-z0-9=;:_-]{1,100}")


class RequestIdMiddleware:
    """Middleware: sets `X-Request-Id` on every answer, to the client's own trace id if it sent one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        trace_id = Headers(scope=scope).get("x-amzn-trace-id", "")
        request_id = trace_id if _PLAIN.fullmatch(trace_id) else str(uuid.uuid4())

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("X-Request-Id", request_id)
            await send(message)

        await self.app(scope, receive, sending)
