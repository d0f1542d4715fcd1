"""`POST /webhooks/hub`: the endpoint for the Hub's webhooks.

Order matters: the secret, then the size while reading, then storage, then 2xx. Nothing is parsed, logged or counted for
a caller who does not know the secret, and nothing that is inside a body can change the answer.

This is an ASGI application of its own and no FastAPI route: it needs only three headers and the raw body.
`bot.web.connections` bounds the time and the number of senders, and keeps the connection of a request that shows the
secret.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import structlog
from redis.exceptions import RedisError
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Receive, Scope, Send

from bot.intake.clients import reserve
from bot.intake.deliveries import read_delivery
from bot.intake.group_commit import TooManyWait
from bot.intake.inbox import Inbox, delivery
from leaderboard.boards import Board

log = structlog.get_logger()

PATH = "/webhooks/hub"
MAX_BYTES_IN_FLIGHT = 64_000_000
"""Bytes of partly read bodies that may be in memory, of all senders together."""
CLOSE = {"connection": "close"}
"""Headers of a refusal: the server closes the connection, and reads no more of the body."""


class BodyTooLarge(Exception):
    """The body has more bytes than a delivery may have."""


class SenderGone(Exception):
    """The connection ended before the body did."""


class TooManyBytesInFlight(Exception):
    """The partly read bodies of all senders exceed MAX_BYTES_IN_FLIGHT."""


def secret_is_known(given: bytes, accepted: Sequence[bytes]) -> bool:
    """Whether `given` is one of the `accepted` secrets; takes as long for a near miss as for a far one."""
    matches = [hmac.compare_digest(given, secret) for secret in accepted]
    return any(matches)


class WebhookEndpoint:
    """The webhook endpoint of one board: an ASGI application."""

    def __init__(self, *, board: Board, inbox: Inbox, secrets: Sequence[str], limit: int) -> None:
        self._board = board
        self._inbox = inbox
        self._secrets = [secret.encode() for secret in secrets]
        self._limit = limit
        self._bytes_in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except SenderGone:
            return  # there is no connection to answer on
        await answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Response:
        headers = dict(scope["headers"])
        given = headers.get(b"x-webhook-secret")
        if given is None:
            return PlainTextResponse("The header X-Webhook-Secret is missing.", 401, CLOSE)
        if not secret_is_known(given, self._secrets):
            return PlainTextResponse("The secret in X-Webhook-Secret is not the one of this webhook.", 403, CLOSE)
        reserve(scope)
        try:
            body = await self._body(receive, _announced(headers))
        except BodyTooLarge:
            # The Hub's payloads are a few kilobytes, so this is no delivery, and nothing of it is stored.
            return PlainTextResponse(f"A delivery may hold {self._limit} bytes.", 413, CLOSE)
        except TooManyBytesInFlight:
            return PlainTextResponse("Too much is being sent at once; please send this again later.", 503, CLOSE)
        webhook_id = headers.get(b"webhook-id")
        return await self._store(None if webhook_id is None else webhook_id.decode("latin-1"), body)

    async def _store(self, webhook_id: str | None, body: bytes) -> Response:
        received, reading = delivery(webhook_id, body), read_delivery(body, self._board)
        try:
            new = await self._inbox.receive(received, reading)
        except (RedisError, TooManyWait, TimeoutError, ConnectionAbortedError) as error:
            # The delivery may not be stored, so it is not acknowledged, and the Hub sends it again.
            log.error("delivery not stored", delivery=received.id, error=f"{type(error).__name__}: {error}")
            return PlainTextResponse("The delivery could not be stored; please send it again.", 503)
        log.debug("delivery", delivery=received.id, verdict=reading.verdict, new=new)
        return _STORED if new else _KNOWN

    async def _body(self, receive: Receive, announced: int) -> bytes:
        """The whole body, cut off while reading. Raises BodyTooLarge, TooManyBytesInFlight, SenderGone."""
        if announced > self._limit:
            raise BodyTooLarge
        message = await receive()
        if message["type"] == "http.request" and not message["more_body"] and len(message["body"]) <= self._limit:
            return bytes(message["body"])  # nearly always: all of it came with the headers
        return await self._body_in_parts(message, receive)

    async def _body_in_parts(self, message: Message, receive: Receive) -> bytes:
        """The whole body, of which `message` is the first part."""
        body = bytearray()
        try:
            while True:
                if message["type"] == "http.disconnect":
                    raise SenderGone
                body += message["body"]
                self._bytes_in_flight += len(message["body"])
                if len(body) > self._limit:
                    raise BodyTooLarge
                if not message["more_body"]:
                    return bytes(body)
                if self._bytes_in_flight > MAX_BYTES_IN_FLIGHT:
                    raise TooManyBytesInFlight
                message = await receive()
        finally:
            self._bytes_in_flight -= len(body)


_STORED, _KNOWN = PlainTextResponse("stored", 202), PlainTextResponse("known", 202)


def _announced(headers: dict[bytes, bytes]) -> int:
    """The value of `Content-Length`; 0 if it is missing or no number."""
    length = headers.get(b"content-length", b"")
    return int(length) if length.isdigit() and len(length) < 20 else 0
