"""Bounded reading of requests: query parameters, bodies, forms, the client's address, and how often it may ask."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Literal, TypeVar
from urllib.parse import parse_qs

from fastapi import Request
from starlette.requests import ClientDisconnect

from bot.core.context import BoardContext
from bot.intake.clients import client_network
from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer

MAX_BODY_BYTES = 16_384
MAX_QUERY_CHARACTERS = 1_001
"""Characters of one query parameter: one more than a search may have, so that longer ones are seen to be too long."""
MAX_NUMBER = 10_000_000
MAX_PARTS = 21
"""Boundaries in a form with files: one more than it has parts."""
Word = TypeVar("Word", bound=str)


def words(request: Request, name: str) -> str:
    """The query parameter `name`, cut at MAX_QUERY_CHARACTERS."""
    return request.query_params.get(name, "")[:MAX_QUERY_CHARACTERS].strip()


def choice(request: Request, name: str, known: Sequence[Word]) -> Word | Literal[""]:
    """The query parameter `name` if it is one of `known`, else ""."""
    value = words(request, name)
    return next((word for word in known if word == value), "")


def number(request: Request, name: str, least: int) -> int:
    """The query parameter `name` as a number of at least `least`; `least` if it is no number."""
    value = words(request, name)
    return (
        min(max(least, int(value)), MAX_NUMBER) if value.isascii() and value.isdecimal() and len(value) < 12 else least
    )


async def body_of(request: Request, *, limit: int = MAX_BODY_BYTES) -> bytes:
    """The body. Stops reading and raises CannotAnswer as soon as it has more than `limit` bytes."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                message = f"The body is longer than {limit:,} bytes."
                problem = ErrorResponse(code="too-large", message=message, advice="Send less.")
                raise CannotAnswer(413, problem, {"connection": "close"})
    except ClientDisconnect:
        raise CannotAnswer(400, ErrorResponse(code="bad-json", message="The body is incomplete.")) from None
    return bytes(body)


def form_in(body: bytes) -> dict[str, str]:
    """The first value of each field of a form; empty if the body is no form."""
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def parts_in(content_type: str, body: bytes) -> dict[str, bytes]:
    """The fields of a form with files (`multipart/form-data`), and the names of files as `{field}:name`.

    Empty if the body is no such form, or has more than twenty parts.
    """
    match = re.search(r'boundary="?([^";,]{1,100})', content_type)
    mark = b"--" + match[1].encode("latin-1", "replace") if match is not None else b""
    if not mark or body.count(mark) > MAX_PARTS:
        return {}
    fields: dict[str, bytes] = {}
    for part in body.split(mark)[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"\r\n]{1,100})"', head)
        if name is None:
            continue
        field = name[1].decode("utf-8", "replace")
        fields[field] = data.removesuffix(b"\r\n")
        if (file := re.search(rb'[; ]filename="([^"\r\n]{0,300})"', head)) is not None:
            fields[f"{field}:name"] = file[1]
    return fields


def client_of(request: Request) -> str:
    """The client's address; "" if it is unknown."""
    return request.client.host if request.client is not None else ""


def client_name(client: str) -> str:
    """A digest of a client's address; for IPv6 of its network, because one customer has all addresses of a network."""
    network = client_network(client)
    return hashlib.sha256(network.encode()).hexdigest()[:16] if network else "unknown"


def over_limit(context: BoardContext, counter: str, *, limit: int) -> int:
    """Add one to `counter`; return 0 if there are at most `limit` within a minute, else the seconds to wait."""
    key = context.keys.asked(counter)
    with context.redis.pipeline() as pipe:
        pipe.incr(key)
        pipe.expire(key, 60, nx=True)
        pipe.ttl(key)
        count, _, left = pipe.execute()
    return max(1, int(left)) if int(count) > limit else 0
