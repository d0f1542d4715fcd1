"""Reading what callers send, within bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub.errors import BadRequest, HubError

SMALL_BODY_BYTES = 8 << 20
"""Bytes of any body but those of commits and of large files."""
COMMIT_BODY_BYTES = 1 << 30
"""Bytes of a commit: what the Hub allows of regular files in one."""

_LARGE_ROUTES = ("/commit/", "/lfs-storage/", "/git-upload-pack")


class _TooLarge(Exception):
    """More has come than was allowed."""


class BodyLimit:
    """Middleware: 413 for a body beyond the limit, whether it says so in `Content-Length` or not."""

    def __init__(self, app: ASGIApp, limit: int = SMALL_BODY_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(part in scope["path"] for part in _LARGE_ROUTES):
            await self.app(scope, receive, send)
            return
        refusal = HubError(413, f"The body of this call may have {self.limit >> 20} MB at most.").response()
        if _announced(scope) > self.limit:
            await refusal(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, _counting(receive, self.limit), sending)
        except _TooLarge:
            if not started:
                await refusal(scope, receive, send)


async def read(request: Request, limit: int = SMALL_BODY_BYTES) -> bytes:
    """The whole body; 413 where it is longer than `limit`."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise HubError(413, f"The body of this call may have {limit >> 20} MB at most.")
        chunks.append(chunk)
    return b"".join(chunks)


def parse_json(text: bytes, what: str = "body") -> Any:
    """JSON of a stranger; `BadRequest` where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The {what} is not valid JSON: {error}") from error


def parse_object(text: bytes, what: str = "body") -> Mapping[str, Any]:
    """As `parse_json`, for what must be an object."""
    found = parse_json(text, what)
    if not isinstance(found, dict):
        raise BadRequest(f"The {what} must be a JSON object.")
    return found


def _announced(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


def _counting(receive: Receive, limit: int) -> Receive:
    size = 0

    async def receiving() -> Message:
        nonlocal size
        message = await receive()
        if message["type"] == "http.request":
            size += len(message.get("body", b""))
            if size > limit:
                raise _TooLarge
        return message

    return receiving
