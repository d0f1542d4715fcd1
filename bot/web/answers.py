"""How the API answers: JSON with an ETag, errors of one shape, and to pages of any origin that only read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from redis.exceptions import RedisError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.read_models.models import ErrorResponse

PREFIX = "/api/"
FRESH = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
"""Everything may be kept, and has to be asked for again: with an ETag, which costs nearly nothing."""
PRIVATE = {"cache-control": "private, no-store"}
"""What is for one person alone is kept nowhere."""
GUARD = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""What browsers are told about whatever is no page: nothing in it runs, loads, or may be framed."""

BROKEN = ErrorResponse(
    code="broken",
    message="Something went wrong on this server, and its log says what.",
    advice="Try again in a minute; if it stays so, tell the maintainers.",
)
Tell = Callable[[Request, int, ErrorResponse], Response]
"""Makes the page that tells a person of a problem."""


class CannotAnswer(Exception):
    """Ends a call with this problem."""

    def __init__(self, status: int, problem: ErrorResponse, headers: dict[str, str] | None = None) -> None:
        super().__init__(problem.message)
        self.status, self.problem, self.headers = status, problem, headers or {}


class Guarded:
    """Says GUARD with every answer that says nothing else of it, so that no route can forget to."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                _guard(MutableHeaders(scope=message))
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)


def _guard(headers: MutableHeaders) -> None:
    for name, value in GUARD.items():
        headers.setdefault(name, value)


class CrossOriginReads(CORSMiddleware):
    """Lets pages of any origin read the API, and nothing else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def answer(request: Request, found: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`found` as JSON, or 304 where the client has it already."""
    body, more = found.model_dump_json().encode(), {**FRESH, **(headers or {})}
    return tagged(request, body, "application/json", more, status=status)


def tagged(
    request: Request, body: bytes, media_type: str, headers: Mapping[str, str], *, status: int = 200
) -> Response:
    """`body` with an ETag, or 304 where the client has it already."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    more = {**headers, "etag": tag}
    if status == 200 and _has(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=304, headers=more)
    return Response(body, status, more, media_type=media_type)


def _has(said: Sequence[str], tag: str) -> bool:
    """Whether `tag` is among the ETags that a client says it has."""
    return any(one.strip().removeprefix("W/") in (tag, "*") for line in said for one in line.split(","))


def refuse(status: int, problem: ErrorResponse, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer that tells of a problem."""
    return JSONResponse(
        problem.model_dump(),
        status,
        {"cache-control": "no-store", "x-content-type-options": "nosniff", **(headers or {})},
    )


def add_to(app: FastAPI, tell: Tell) -> None:
    """Have `app` answer every error in one shape, people by a page, and let pages of other origins read the API."""
    app.add_middleware(
        CrossOriginReads,
        allow_origins=["*"],
        allow_methods=["GET"],
        allow_headers=["If-None-Match"],
        expose_headers=["ETag", "Retry-After"],
    )
    app.add_middleware(Guarded)
    _answer_errors(app, tell)


def _answer_errors(app: FastAPI, tell: Tell) -> None:
    def say(
        request: Request, status: int, problem: ErrorResponse, headers: Mapping[str, str] | None = None
    ) -> Response:
        if not wants_page(request):
            return refuse(status, problem, dict(headers or {}))
        page = tell(request, status, problem)
        page.headers.update(headers or {})
        return page

    @app.exception_handler(CannotAnswer)
    async def cannot(request: Request, error: CannotAnswer) -> Response:
        return say(request, error.status, error.problem, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        wrong = "; ".join(map(_wrong, error.errors()[:5]))
        problem = ErrorResponse(code="bad-query", message=f"{wrong}.", advice="See /openapi.json for what is taken.")
        return say(request, 422, problem)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> Response:
        known = {404: "not-found", 405: "not-allowed"}
        advice = "See /openapi.json for what there is."
        problem = ErrorResponse(code=known.get(error.status_code, "refused"), message=f"{error.detail}.", advice=advice)
        return say(request, error.status_code, problem, error.headers)

    @app.exception_handler(RedisError)
    async def away(request: Request, error: RedisError) -> Response:
        message = f"The queue's server does not answer ({type(error).__name__})."
        problem = ErrorResponse(code="away", message=message, advice="Ask again in a minute.")
        return say(request, 503, problem, {"retry-after": "60"})

    @app.exception_handler(Exception)
    async def broken(request: Request, _error: Exception) -> Response:
        # Asked outside of all that is added above; the error itself goes on to whoever logs it.
        answer = say(request, 500, BROKEN)
        _guard(answer.headers)
        return answer


def wants_page(request: Request) -> bool:
    """Whether it is a browser that asks, for somebody who reads what it shows."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(PREFIX)


def _wrong(error: Any) -> str:
    """One mistake in a query, without what the client wrote."""
    where = ".".join(str(part) for part in error["loc"][1:])[:60]
    return f"{where}: {error['msg'][:200]}" if where else str(error["msg"])[:200]
