"""`/healthz`: whether this process is alive. `/readyz`: whether the whole system works, and if not, what fails."""

from __future__ import annotations

import asyncio
from typing import NotRequired, TypedDict

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import RedisError

from bot.intake.inbox import Inbox
from redis_state import clock
from redis_state.keys import Keys
from redis_state.redis import text

SILENCE_SECONDS = 300.0
"""Time without a finished sync after which the state of the Hub counts as unknown."""
REDIS_SECONDS = 2.5
"""Time that Redis may take: less than the four seconds of the image's health check, because a silent Redis is no reason
to restart this process."""


class HubHealth(TypedDict):
    """The Hub as the sync processes last saw it."""

    state: str
    since: NotRequired[str]
    error: NotRequired[str]
    webhook: NotRequired[str]


class HealthState(TypedDict):
    """The fields that both routes report; only `redis` and `hub` if Redis does not answer."""

    redis: str
    hub: HubHealth
    dirty: NotRequired[int]
    failing: NotRequired[int]
    inbox: NotRequired[dict[str, int]]
    polling: NotRequired[str]


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


async def _state(redis: AsyncRedis, keys: Keys, inbox: Inbox) -> HealthState:
    try:
        async with asyncio.timeout(REDIS_SECONDS), redis.pipeline(transaction=False) as pipe:
            pipe.hgetall(keys.hub_state)
            pipe.zcard(keys.dirty)
            pipe.hlen(keys.dirty_tries)
            pipe.hgetall(keys.inbox_counts)
            pipe.mget(keys.poll, keys.webhook_trouble)
            hub, dirty, failing, counts, polling = await pipe.execute()
            trouble = await inbox.check()
    except (RedisError, TimeoutError) as error:
        return {"redis": f"does not answer ({type(error).__name__})", "hub": {"state": "unknown"}}
    return {
        # Redis may answer and refuse to write: its memory or its disk is full, or it is a replica.
        "redis": f"does not store deliveries ({trouble})" if trouble else "answers",
        "hub": _hub(hub),
        "dirty": dirty,
        "failing": failing,
        "inbox": {text(name): int(count) for name, count in counts.items()},
        # The reasons why the scheduler polls more often; the system still works.
        "polling": "; ".join(text(reason) for reason in polling if reason),
    }


def _hub(fields: dict[bytes, bytes]) -> HubHealth:
    """The state of the Hub as the sync processes last saw it."""
    values = {text(name): text(value) for name, value in fields.items()}
    answered, failed = float(values.get("answered", 0)), float(values.get("failed", 0))
    if failed > answered:
        # Only the kind of the error is shown: its message may name a model that is not public.
        kind = values.get("error", "").partition(":")[0]
        error = f"{kind}: the log of `steward sync` shows the call."
        state = "does not answer"
        if kind == "BadToken":
            error = f"{kind}: put a valid one into STEWARD_BOT_TOKEN or its file, and restart `steward sync`."
            state = "does not accept the bot's token"
        return {"state": state, "since": values.get("at", ""), "error": error}
    # A quiet board, whose webhooks report every change, calls the Hub rarely: its finished syncs count too.
    if not answered or clock.now() - max(answered, float(values.get("synced", 0))) > SILENCE_SECONDS:
        return {
            "state": "unknown",
            "error": "No sync process has reported for five minutes; is `steward sync` running?",
        }
    return {"state": "answers", "webhook": values["webhook"]} if "webhook" in values else {"state": "answers"}
