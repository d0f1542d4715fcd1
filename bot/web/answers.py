"""Responses of the web server: JSON with ETags, errors in one shape, security headers, and cross-origin reads."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from redis.exceptions import RedisError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.read_models.lists import BadCursor
from bot.read_models.models import ErrorResponse

PREFIX = "/api/"
MIN_COMPRESSED = 1_000
"""Least number of bytes of a body that is compressed."""
COMPRESSED = ("image/png",)
"""Media types whose content is compressed already."""
FRESH = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
"""Clients may cache the response but must revalidate it; with an ETag that costs nearly nothing."""
PRIVATE = {"cache-control": "private, no-store"}
"""No cache stores a response for one person."""
GUARD = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Headers of every response that is not a page: nothing in it runs, loads, or may be framed."""

BROKEN = ErrorResponse(
    code="broken",
    message="Something went wrong on this server. The details are in its log.",
    advice="Try again in a minute. If it happens again, tell the maintainers.",
)
BAD_CURSOR = ErrorResponse(
    code="bad-cursor",
    message="This is not a cursor.",
    advice="Take it from `next` of the page before, or leave it out.",
)
ProblemPage = Callable[[Request, int, ErrorResponse], Response]
"""Renders the page that shows a problem to a person."""


class ReportProblem(Protocol):
    """Reports a problem to the client."""

    def __call__(
        self, request: Request, status: int, problem: ErrorResponse, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Return a response with this status that describes `problem`."""


class CannotAnswer(Exception):
    """Raised to end the request with a response that describes `problem`."""

    def __init__(self, status: int, problem: ErrorResponse, headers: dict[str, str] | None = None) -> None:
        super().__init__(problem.message)
        self.status, self.problem, self.headers = status, problem, headers or {}


class SecurityHeaders:
    """Middleware that adds the headers of GUARD to each response that does not set them itself."""

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
    """Middleware that lets pages of any origin read the API, and nothing else."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PREFIX):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def answer(request: Request, model: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """`model` as JSON, or 304 if the client has it already."""
    body, all_headers = model.model_dump_json().encode(), {**FRESH, **(headers or {})}
    return tagged(request, body, "application/json", all_headers, status=status)


def tagged(
    request: Request, body: bytes, media_type: str, headers: Mapping[str, str], *, status: int = 200
) -> Response:
    """`body` with an ETag, compressed if the client takes that, or 304 if the client has it already.

    No body holds both a secret and text of the client, so the compressed length reveals no secret.
    """
    takes_gzip = "gzip" in request.headers.get("accept-encoding", "")
    compresses = takes_gzip and len(body) >= MIN_COMPRESSED and media_type not in COMPRESSED
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}{"-gzip" if compresses else ""}"'
    vary = ", ".join(filter(None, (headers.get("vary"), "accept-encoding")))
    all_headers = {**headers, "etag": tag, "vary": vary}
    if status == 200 and _has(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=304, headers=all_headers)
    if compresses:
        body, all_headers = gzip.compress(body, 4, mtime=0), {**all_headers, "content-encoding": "gzip"}
    return Response(body, status, all_headers, media_type=media_type)


def _has(if_none_match: Sequence[str], tag: str) -> bool:
    """Whether `tag` is among the ETags of the If-None-Match headers."""
    return any(known.strip().removeprefix("W/") in (tag, "*") for line in if_none_match for known in line.split(","))


def refuse(status: int, problem: ErrorResponse, headers: dict[str, str] | None = None) -> JSONResponse:
    """The JSON response that reports a problem."""
    return JSONResponse(
        problem.model_dump(),
        status,
        {"cache-control": "no-store", "x-content-type-options": "nosniff", **(headers or {})},
    )


def add_to(app: FastAPI, problem_page: ProblemPage) -> None:
    """Have `app` report every error in one shape, to browsers as a page, and let other origins read the API."""
    app.add_middleware(
        CrossOriginReads,
        allow_origins=["*"],
        allow_methods=["GET"],
        allow_headers=["If-None-Match"],
        expose_headers=["ETag", "Retry-After"],
    )
    app.add_middleware(SecurityHeaders)
    report = _reporter(problem_page)
    _handle_bad_requests(app, report)
    _handle_failures(app, report)


def _reporter(problem_page: ProblemPage) -> ReportProblem:
    """A function that reports a problem: as a page to a browser that asks for one, else as JSON."""

    def report(
        request: Request, status: int, problem: ErrorResponse, headers: Mapping[str, str] | None = None
    ) -> Response:
        if not wants_page(request):
            return refuse(status, problem, dict(headers or {}))
        page = problem_page(request, status, problem)
        page.headers.update(headers or {})
        return page

    return report


def _handle_bad_requests(app: FastAPI, report: ReportProblem) -> None:
    @app.exception_handler(CannotAnswer)
    async def cannot(request: Request, error: CannotAnswer) -> Response:
        return report(request, error.status, error.problem, error.headers)

    @app.exception_handler(BadCursor)
    async def no_cursor(request: Request, _error: BadCursor) -> Response:
        return report(request, 422, BAD_CURSOR)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        mistakes = "; ".join(map(_mistake, error.errors()[:5]))
        advice = "See /openapi.json for the parameters."
        return report(request, 422, ErrorResponse(code="bad-query", message=f"{mistakes}.", advice=advice))

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        codes = {404: "not-found", 405: "not-allowed"}
        advice = "See /openapi.json for all addresses."
        problem = ErrorResponse(code=codes.get(error.status_code, "refused"), message=f"{error.detail}.", advice=advice)
        return report(request, error.status_code, problem, error.headers)


def _handle_failures(app: FastAPI, report: ReportProblem) -> None:
    @app.exception_handler(RedisError)
    async def away(request: Request, error: RedisError) -> Response:
        message = f"The queue's server does not answer ({type(error).__name__})."
        problem = ErrorResponse(code="away", message=message, advice="Try again in a minute.")
        return report(request, 503, problem, {"retry-after": "60"})

    @app.exception_handler(Exception)
    async def broken(request: Request, _error: Exception) -> Response:
        # Starlette calls this outside of the middleware above, then raises the error again, and the server logs it.
        response = report(request, 500, BROKEN)
        _guard(response.headers)
        return response


def wants_page(request: Request) -> bool:
    """Whether a browser asks for a page to show."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(PREFIX)


def _mistake(error: Any) -> str:
    """Describe one mistake in a query, without the text that the client sent."""
    where = ".".join(str(part) for part in error["loc"][1:])[:60]
    return f"{where}: {error['msg'][:200]}" if where else str(error["msg"])[:200]
