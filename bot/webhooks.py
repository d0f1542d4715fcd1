"""`POST /webhooks/hub`: the only door that the Hub knocks at.

Order matters: the secret, then the size while reading, then storage, then 2xx. Nothing is parsed, logged or counted for
a caller who does not know the secret, and nothing that is inside a body can change the answer.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import structlog
from fastapi import APIRouter, Request, Response
from redis.exceptions import RedisError

from bot.deliveries import delivery_key, read_delivery
from bot.inbox import Delivery, Inbox
from leaderboard.boards import Board
from wire import clock

log = structlog.get_logger()


class BodyTooLarge(Exception):
    """More was sent than a delivery may hold."""


def secret_is_known(given: str, accepted: Sequence[str]) -> bool:
    """Whether `given` is one of the `accepted` secrets; takes as long for a near miss as for a far one."""
    matches = [hmac.compare_digest(given.encode(), secret.encode()) for secret in accepted]
    return any(matches)


async def read_bounded(request: Request, limit: int) -> bytes:
    """The body of `request`, cut off while reading. Raises BodyTooLarge."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise BodyTooLarge
    return bytes(body)


def webhook_routes(*, board: Board, inbox: Inbox, secrets: Sequence[str], limit: int) -> APIRouter:
    """The route, for one board."""
    routes = APIRouter()

    @routes.post("/webhooks/hub", status_code=202)
    async def receive(request: Request) -> Response:
        given = request.headers.get("x-webhook-secret")
        if given is None:
            return Response("The header X-Webhook-Secret is missing.", 401)
        if not secret_is_known(given, secrets):
            return Response("The secret in X-Webhook-Secret is not the one of this webhook.", 403)
        try:
            body = await read_bounded(request, limit)
        except BodyTooLarge:
            # Not a delivery of the Hub: its payloads are a few kilobytes. Nothing is kept.
            return Response(f"A delivery may hold {limit} bytes.", 413)
        delivery = Delivery(delivery_key(request.headers.get("webhook-id"), body), body, clock.now())
        reading = read_delivery(body, board)
        try:
            new = await inbox.receive(delivery, reading)
        except RedisError as error:
            # The Hub tries again: not stored, so not acknowledged.
            log.error("delivery not stored", delivery=delivery.id, error=str(error))
            return Response("The delivery could not be stored; please send it again.", 503)
        log.info("delivery", delivery=delivery.id, verdict=reading.verdict, new=new)
        return Response("stored" if new else "known", 202)

    return routes
