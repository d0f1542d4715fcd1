"""`/api/maintain`: the JSON counterparts of the maintainers' pages, for callers with a session cookie or a token.

A browser sends the cookie with every request, so an action by cookie also needs the form token, in X-CSRF-Token. A
bearer token needs nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Security
from fastapi.responses import Response
from fastapi.security import HTTPAuthorizationCredentials
from starlette.concurrency import run_in_threadpool

from bot.core.render import render
from bot.intake.deliveries import VERDICTS
from bot.read_models.models import ErrorResponse
from bot.web.answers import PRIVATE, CannotAnswer, answer
from bot.web.api import PROBLEMS
from bot.web.incoming import client_of
from bot.web.maintain import models
from bot.web.maintain.access import Refusal, RequireMaintainer
from bot.web.maintain.views import MaintenanceReader
from bot.web.tokens import BEARER, TokenOwners, shown_token
from bot.web.visitors import Visitor
from leaderboard.roles import Person

REFUSAL_ANSWERS: dict[Refusal, tuple[int, ErrorResponse, dict[str, str]]] = {
    "signed-out": (
        401,
        ErrorResponse(code="signed-out", message="This is for maintainers.", advice="Sign in, or send your token."),
        {"www-authenticate": "Bearer"},
    ),
    "stranger": (
        403,
        ErrorResponse(
            code="not-allowed", message="Only maintainers of this leaderboard can see this.", advice="Ask one of them."
        ),
        {},
    ),
    "unsure": (
        503,
        ErrorResponse(
            code="unsure", message="It is not known yet whether you are a maintainer.", advice="Try again shortly."
        ),
        {"retry-after": "5"},
    ),
}
STATUSES = {"woken": 200, "not-parked": 409, "not-allowed": 403, "under-way": 202}
"""Outcome of a wake → HTTP status."""
REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorResponse, "description": "The caller is not signed in and sends no token that the Hub knows."},
    403: {"model": ErrorResponse, "description": "This is for maintainers."},
}
WOKEN: dict[int | str, dict[str, Any]] = {
    202: {"model": models.WakeResponse, "description": "No sync process has picked it up yet."},
    409: {"model": models.WakeResponse, "description": "The sync is not parked."},
}
BearerToken = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]


@dataclass
class ApiAccess:
    """Checks the caller of each route."""

    require_maintainer: RequireMaintainer
    owners: TokenOwners

    async def check(self, request: Request, bearer: HTTPAuthorizationCredentials | None) -> Person | Visitor:
        """The maintainer who calls, identified by token or else by cookie. Raises CannotAnswer."""
        if bearer is None:
            visitor = await self.require_maintainer.visitor(request)
            if isinstance(visitor, Visitor):
                return visitor
            raise _refuse(visitor)
        account = await self.owners.person(shown_token(bearer), client_of(request))
        person = Person(account.id, account.name)
        if (refusal := await self.require_maintainer.refuses(person)) is not None:
            raise _refuse(refusal)
        return person


def maintain_api_routes(
    require_maintainer: RequireMaintainer, reader: MaintenanceReader, owners: TokenOwners
) -> APIRouter:
    """The routes of `/api/maintain` for one board."""
    routes = APIRouter(prefix="/api/maintain", tags=["maintain"], responses={**PROBLEMS, **REFUSALS})
    access = ApiAccess(require_maintainer, owners)
    _add_inbox(routes, access, reader)
    _add_parked(routes, access, reader)
    _add_unknown(routes, access, reader)
    return routes


def _add_inbox(routes: APIRouter, access: ApiAccess, reader: MaintenanceReader) -> None:
    @routes.get("/inbox", summary="Deliveries of the Hub", response_model=models.DeliveryListResponse)
    async def inbox(
        request: Request,
        bearer: BearerToken,
        before: Annotated[str, Query(max_length=40, description="`next` of the page before")] = "",
        verdict: Annotated[str, Query(max_length=20, description=f"one of {', '.join(VERDICTS)}")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Response:
        """Deliveries, newest first, each with its verdict and the state of the keys that it marked."""
        await access.check(request, bearer)
        page = await run_in_threadpool(lambda: reader.inbox(before=before, verdict=verdict, limit=limit))
        return answer(request, page, headers=PRIVATE)

    @routes.get(
        "/inbox/{name}",
        summary="One delivery",
        response_model=models.DeliveryResponse,
        responses={404: {"model": ErrorResponse, "description": "The delivery is not stored, or no longer."}},
    )
    async def delivery(request: Request, bearer: BearerToken, name: Annotated[str, Path(max_length=100)]) -> Response:
        """One delivery with its body, which is untrusted text."""
        await access.check(request, bearer)
        stored = await run_in_threadpool(reader.delivery, name)
        if stored is None:
            message = "The delivery is not stored, or no longer."
            raise CannotAnswer(404, ErrorResponse(code="no-delivery", message=message))
        return answer(request, stored, headers=PRIVATE)


def _add_parked(routes: APIRouter, access: ApiAccess, reader: MaintenanceReader) -> None:
    @routes.get("/parked", summary="Parked syncs", response_model=models.ParkedListResponse)
    async def parked(request: Request, bearer: BearerToken) -> Response:
        """The syncs that failed too often, each with its last error."""
        await access.check(request, bearer)
        return answer(request, await run_in_threadpool(reader.parked), headers=PRIVATE)

    @routes.post("/parked/wake", summary="Wake a parked sync", response_model=models.WakeResponse, responses=WOKEN)
    async def wake(
        request: Request,
        bearer: BearerToken,
        body: models.WakeBody,
        x_csrf_token: Annotated[str, Header(max_length=200, description="`csrf` of /api/me, if no token is sent")] = "",
    ) -> Response:
        """Retry a parked sync; the record of decisions names the caller."""
        caller = await access.check(request, bearer)
        if isinstance(caller, Visitor):
            caller.expect(x_csrf_token)
        person = caller.person if isinstance(caller, Visitor) else caller
        code = await access.require_maintainer.wake(person, body.key) or "under-way"
        response = models.WakeResponse(code=code, message=render("woken", code=code).strip())
        return answer(request, response, status=STATUSES[code], headers=PRIVATE)


def _add_unknown(routes: APIRouter, access: ApiAccess, reader: MaintenanceReader) -> None:
    @routes.get("/unknown", summary="Unknown causes", response_model=models.UnknownListResponse)
    async def unknown(request: Request, bearer: BearerToken) -> Response:
        """The requests that failed with an unknown cause."""
        await access.check(request, bearer)
        return answer(request, await run_in_threadpool(reader.unknown), headers=PRIVATE)


def _refuse(refusal: Refusal) -> CannotAnswer:
    return CannotAnswer(*REFUSAL_ANSWERS[refusal])
