"""Paging by `Link` header, with the absolute address of the next page, and cursors."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl, urlencode

from fastapi import Request, Response

from localhub.errors import BadRequest


def next_link(request: Request, base: str, **changes: str) -> str:
    """The `Link` header that leads to the same call with changed query parameters."""
    raw_path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    unchanged = [(name, value) for name, value in query if name not in changes]
    return f'<{base}{raw_path}?{urlencode([*unchanged, *changes.items()])}>; rel="next"'


def link_next(request: Request, response: Response, base: str, *, end: int, total: int) -> None:
    """Add the `Link` to the page that begins at number `end`, if the list of `total` items goes on there."""
    if end < total:
        response.headers["Link"] = next_link(request, base, cursor=str(end))


def encode_cursor(*parts: str) -> str:
    """An opaque cursor, which the client returns unchanged."""
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode()


def decode_cursor(cursor: str, count: int) -> list[str]:
    """The `count` parts of a cursor; `BadRequest` for one that this Hub did not make."""
    try:
        parts = base64.urlsafe_b64decode(cursor.encode("ascii", "replace")).decode().split("\n", count - 1)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("The cursor is not one that this Hub gave out.") from error
    if len(parts) != count:
        raise BadRequest("The cursor is not one that this Hub gave out.")
    return parts
