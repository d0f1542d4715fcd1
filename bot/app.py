"""The web server: webhooks in, health out. It stores and answers; it never waits for the Hub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from redis.asyncio import Redis as AsyncRedis

from bot.health import health_routes
from bot.inbox import Inbox
from bot.settings import BotSettings
from bot.webhooks import webhook_routes
from wire.keys import Keys
from wire.logs import configure_logs
from wire.redis import connect


def create_app(settings: BotSettings) -> FastAPI:
    """The application. Raises RedisMissing or SettingsError, with a sentence for the operator, where it cannot work."""
    board, secrets = settings.read_board(), settings.secrets()
    connect(settings.redis_url).close()
    redis = AsyncRedis.from_url(settings.redis_url, health_check_interval=30)
    keys = Keys(board.name)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await redis.aclose()

    app = FastAPI(title=f"Steward for {board.title}", lifespan=lifespan)
    inbox = Inbox(redis, keys)
    app.include_router(webhook_routes(board=board, inbox=inbox, secrets=secrets, limit=settings.max_delivery_bytes))
    app.include_router(health_routes(redis, keys))
    return app


def serve(settings: BotSettings) -> None:
    """Run the web server until SIGTERM or Ctrl-C."""
    configure_logs(settings.log_level, as_json=settings.log_json)
    app = create_app(settings)
    uvicorn.run(app, host=settings.host, port=settings.port, log_level="warning", timeout_graceful_shutdown=8)
