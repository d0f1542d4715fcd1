"""The web server's health endpoints while Redis does not answer."""

from __future__ import annotations

import asyncio
import socket

import httpx2
import pytest
from fastapi import FastAPI
from redis.asyncio import Redis as AsyncRedis

from bot.intake.inbox import Inbox
from bot.web import health
from redis_state.keys import Keys


def test_a_queue_server_that_hangs_makes_us_unready_and_no_less_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """If Redis accepts the connection but never answers, `/healthz` answers 200, and `/readyz` 503 with the reason."""
    monkeypatch.setattr(health, "REDIS_SECONDS", 0.2)

    async def answers(port: int) -> dict[str, httpx2.Response]:
        async with AsyncRedis(port=port) as redis:
            app, keys = FastAPI(), Keys("board")
            app.include_router(health.health_routes(redis, keys, Inbox(redis, keys)))
            transport = httpx2.ASGITransport(app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://web") as client, asyncio.timeout(30):
                return {path: await client.get(path) for path in ("/healthz", "/readyz")}

    with socket.create_server(("127.0.0.1", 0)) as silent:
        responses = asyncio.run(answers(silent.getsockname()[1]))
    assert (responses["/healthz"].status_code, responses["/readyz"].status_code) == (200, 503)
    assert responses["/readyz"].json()["redis"] == "does not answer (TimeoutError)"
