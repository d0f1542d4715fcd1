"""Pages by `Link` header: the next one's absolute address, as the client follows it."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qsl, urlencode

from fastapi import Request

from localhub.errors import BadRequest


def next_link(request: Request, base: str, **changes: str) -> str:
    """The `Link` header to the same call with some query parameters changed."""
    raw_path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    query = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)
    kept = [(name, value) for name, value in query if name not in changes]
    return f'<{base}{raw_path}?{urlencode([*kept, *changes.items()])}>; rel="next"'


def encode_cursor(*parts: str) -> str:
    """A cursor that a client hands back without looking into it."""
    return base64.urlsafe_b64encode("\n".join(parts).encode()).decode()


def decode_cursor(cursor: str, count: int) -> list[str]:
    """The `count` parts of a cursor; `BadRequest` for one that was not made here."""
    try:
        parts = base64.urlsafe_b64decode(cursor.encode("ascii", "replace")).decode().split("\n", count - 1)
    except (binascii.Error, ValueError) as error:
        raise BadRequest("The cursor is not one that this Hub gave out.") from error
    if len(parts) != count:
        raise BadRequest("The cursor is not one that this Hub gave out.")
    return parts
