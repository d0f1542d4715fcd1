"""`/healthz`: is this process alive; `/readyz`: does the whole work, and if not, what does not."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from bot.intake.inbox import Inbox
from redis_state import clock
from redis_state.keys import Keys
from redis_state.redis import text

SILENT = 300.0
"""Seconds without an answer after which the Hub, or the sync process, counts as away."""
PATIENCE = 2.5
"""Seconds for Redis to answer: the image's health check waits four, and a silent Redis is no reason to restart us."""


def health_routes(redis: AsyncRedis, keys: Keys, inbox: Inbox) -> APIRouter:
    """Both routes, for one board."""
    routes = APIRouter()

    @routes.get("/healthz")
    async def healthz() -> Response:
        return JSONResponse({"status": "alive", **await _state(redis, keys, inbox)})

    @routes.get("/readyz")
    async def readyz() -> Response:
        state = await _state(redis, keys, inbox)
        ready = state["redis"] == "answers" and state["hub"]["state"] == "answers"
        return JSONResponse({"status": "ready" if ready else "not ready", **state}, 200 if ready else 503)

    return routes


async def _state(redis: AsyncRedis, keys: Keys, inbox: Inbox) -> dict[str, Any]:
    try:
        async with asyncio.timeout(PATIENCE), redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.hub_state)
            pipe.zcard(keys.dirty)
            pipe.hlen(keys.dirty_tries)
            pipe.hgetall(keys.inbox_counts)
            pipe.mget(keys.poll, keys.webhook_trouble)
            hub, dirty, failing, came, polling = await pipe.execute()
            trouble = await inbox.check()
    except (RedisError, TimeoutError) as error:
        return {"redis": f"does not answer ({type(error).__name__})", "hub": {"state": "unknown"}}
    counts = {text(name): int(count) for name, count in came.items()}
    # Redis may answer and refuse to write: its memory or its disk is full, or it is a replica.
    redis_state = f"does not store deliveries ({trouble})" if trouble else "answers"
    state = {"redis": redis_state, "hub": _hub(hub), "dirty": dirty, "failing": failing, "inbox": counts}
    # Not a reason to be out of service: what webhooks do not tell is looked for more often.
    return {**state, "polling": "; ".join(text(why) for why in polling if why)}


def _hub(fields: dict[bytes, bytes]) -> dict[str, str]:
    """What the sync processes last heard of the Hub."""
    known = {text(name): text(value) for name, value in fields.items()}
    answered, failed = float(known.get("answered", 0)), float(known.get("failed", 0))
    if failed > answered:
        # The words behind the kind of error name what was asked for: perhaps a model that not everybody may know of.
        kind = known.get("error", "").partition(":")[0]
        error = f"{kind}: the log of `steward sync` says what it was asked."
        state = "does not answer"
        if kind == "BadToken":
            error = f"{kind}: put a good one into STEWARD_BOT_TOKEN or its file, and restart `steward sync`."
            state = "does not accept the bot's token"
        return {"state": state, "since": known.get("at", ""), "error": error}
    if clock.now() - answered > SILENT:
        return {
            "state": "unknown",
            "error": "No sync process has reported for five minutes; is `steward sync` running?",
        }
    return {"state": "answers", **({"webhook": known["webhook"]} if "webhook" in known else {})}
