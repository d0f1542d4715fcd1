"""Reading the bodies of requests, within limits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub.errors import BadRequest, HubError

SMALL_BODY_BYTES = 8 << 20
"""Limit of a body, except for commits and large files."""
COMMIT_BODY_BYTES = 1 << 30
"""Limit of a commit: the bytes of regular files that the Hub allows in one."""

_LARGE_ROUTES = ("/commit/", "/lfs-storage/", "/git-upload-pack")


class _TooLarge(Exception):
    """The body exceeds the limit."""


class BodyLimit:
    """Middleware: 413 for a body beyond the limit, with or without a `Content-Length`."""

    def __init__(self, app: ASGIApp, limit: int = SMALL_BODY_BYTES) -> None:
        self.app = app
        self.limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or any(part in scope["path"] for part in _LARGE_ROUTES):
            await self.app(scope, receive, send)
            return
        refusal = HubError(413, f"The body of this call may have {self.limit >> 20} MB at most.").response()
        if _content_length(scope) > self.limit:
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
    """The whole body; 413 if it is longer than `limit`."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise HubError(413, f"The body of this call may have {limit >> 20} MB at most.")
        chunks.append(chunk)
    return b"".join(chunks)


def parse_json(text: bytes, name: str = "body") -> Any:
    """Parse untrusted JSON; `BadRequest` that names the part if it is invalid."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The {name} is not valid JSON: {error}") from error


def parse_object(text: bytes, name: str = "body") -> Mapping[str, Any]:
    """As `parse_json`, for a JSON object."""
    value = parse_json(text, name)
    if not isinstance(value, dict):
        raise BadRequest(f"The {name} must be a JSON object.")
    return value


def _content_length(scope: Scope) -> int:
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
