"""What callers send, read within bounds: the query of a page, a body, a form; and where they call from."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import Request
from starlette.requests import ClientDisconnect

from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer

LONGEST = 16_384
"""Bytes of a body."""
WORDS = 1_001
"""Characters of one value of a query: one more than a search may have, so that a longer one is told."""
MOST_PAGE = 10_000_000


def words(request: Request, name: str) -> str:
    """What the query says under `name`, bounded."""
    return request.query_params.get(name, "")[:WORDS].strip()


def choice(request: Request, name: str, known: tuple[str, ...]) -> str:
    """One of `known`, or "" for whatever else the query says."""
    said = words(request, name)
    return said if said in known else ""


def number(request: Request, name: str, least: int) -> int:
    """A number that is not below `least`; `least` for whatever else the query says."""
    said = words(request, name)
    return min(max(least, int(said)), MOST_PAGE) if said.isascii() and said.isdecimal() and len(said) < 12 else least


async def body_of(request: Request) -> bytes:
    """The body, cut off while reading. Raises CannotAnswer where it is too long."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST:
                problem = ErrorResponse(
                    code="too-large", message=f"No more than {LONGEST:,} bytes are taken here.", advice="Send less."
                )
                raise CannotAnswer(413, problem, {"connection": "close"})
    except ClientDisconnect:
        raise CannotAnswer(400, ErrorResponse(code="bad-json", message="The body broke off.")) from None
    return bytes(body)


def form_in(body: bytes) -> dict[str, str]:
    """The first of each field of a form in a body; none where it is no form."""
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return {}
    return {name: values[0] for name, values in found.items()}


def client_of(request: Request) -> str:
    """The address that calls; "" where nobody knows it."""
    return request.client.host if request.client is not None else ""
