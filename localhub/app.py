"""The ASGI application: all routes, behind the middlewares for ids, counters, faults, limits and raw paths.

The application answers a failed call with JSON that has an `error`, because clients cannot parse a traceback.
"""

from __future__ import annotations

import logging
import re
import uuid
from functools import cache
from urllib.parse import quote, unquote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from localhub.controls.fault_middleware import FaultMiddleware
from localhub.controls.limits import RateLimitMiddleware
from localhub.controls.stats import StatsMiddleware
from localhub.errors import BadRequest, HubError, RepoMoved
from localhub.http.bodies import BodyLimit
from localhub.http.routing import RawPathMiddleware
from localhub.routes import API_ROUTERS
from localhub.routes.callers import STATE_KEY
from localhub.state import HubState

log = logging.getLogger("localhub")

_TRACE_ID = re.compile(r"[A-Za-z0-9=;:_-]{1,100}")


@cache
def application() -> FastAPI:
    """All routes, built once per process in a tenth of a second; StateMiddleware adds a Hub's state to each call."""
    app = FastAPI(title="localhub", description="A Hub on this machine", redirect_slashes=False)
    for router in API_ROUTERS:
        app.router.routes.extend(router.routes)
    app.add_exception_handler(HubError, _hub_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _client_disconnected)
    app.add_exception_handler(Exception, _unexpected_error)
    return app


def serve_app(state: HubState) -> ASGIApp:
    """The application behind its middlewares, serving one state."""
    inner = RawPathMiddleware(BodyLimit(StateMiddleware(application(), state)))
    limited = RateLimitMiddleware(inner, state.limits, state.accounts)
    return RequestIdMiddleware(StatsMiddleware(FaultMiddleware(limited, state.faults), state.stats))


class StateMiddleware:
    """Middleware: puts the state into each call's scope, where `localhub.routes.callers.state_of` reads it."""

    def __init__(self, app: ASGIApp, state: HubState) -> None:
        self.app, self.state = app, state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[STATE_KEY] = self.state
        await self.app(scope, receive, send)


class RequestIdMiddleware:
    """Middleware: sets `X-Request-Id` on every answer, to the client's own trace id if it sent one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        trace_id = Headers(scope=scope).get("x-amzn-trace-id", "")
        request_id = trace_id if _TRACE_ID.fullmatch(trace_id) else str(uuid.uuid4())

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("X-Request-Id", request_id)
            await send(message)

        await self.app(scope, receive, sending)


async def _hub_error(request: Request, error: Exception) -> Response:
    if isinstance(error, RepoMoved):
        return _redirect_to_new_name(request, error)
    if not isinstance(error, HubError):
        raise error
    return error.response()


def _redirect_to_new_name(request: Request, error: RepoMoved) -> Response:
    """Redirect to the same path with the new name; it is relative, so that it also works behind a proxy."""
    raw: str = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    target = _renamed(raw, error.old, error.new)
    if request.scope["query_string"]:
        target += "?" + request.scope["query_string"].decode("latin-1")
    response = error.response()
    response.headers["Location"] = target
    return response


def _renamed(raw_path: str, old: str, new: str) -> str:
    parts = raw_path.split("/")
    old_parts = old.lower().split("/")
    for start in range(len(parts) - len(old_parts) + 1):
        window = [unquote(part).lower() for part in parts[start : start + len(old_parts)]]
        suffix = ".git" if window[-1] == old_parts[-1] + ".git" else ""
        if window[:-1] == old_parts[:-1] and window[-1] == old_parts[-1] + suffix:
            return "/".join([*parts[:start], quote(new) + suffix, *parts[start + len(old_parts) :]])
    return raw_path


async def _invalid(_request: Request, error: Exception) -> Response:
    """The errors that pydantic found, in the format of the Hub's own checks."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    lines = []
    for problem in problems:
        where = ".".join(str(part) for part in problem["loc"] if part not in ("body", "query", "path"))
        lines.append(f"✖ {problem['msg']}" + (f"\n  → at {where}" if where else ""))
    return BadRequest("\n".join(lines) or "Invalid request").response()


async def _http_error(_request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    answer = HubError(error.status_code, str(error.detail), headers=dict(error.headers or {}))
    return answer.response()


async def _client_disconnected(_request: Request, _error: Exception) -> Response:
    return BadRequest("The connection closed before the body had arrived.").response()


async def _unexpected_error(request: Request, error: Exception) -> Response:
    log.error("%s %s failed", request.method, request.url.path.encode("ascii", "replace"), exc_info=error)
    return JSONResponse({"error": "Internal Error - We're working hard to fix this as soon as possible!"}, 500)
