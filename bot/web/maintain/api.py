"""`/api/maintain`: the twins of the maintainers' pages, for whoever is signed in or shows a token of their own.

A cookie comes along by itself, so a change by cookie needs the form token in X-CSRF-Token; a token is proof enough.
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
from bot.web.tokens import BEARER, Owners, shown_token
from bot.web.visitors import Visitor
from leaderboard.roles import Person, Role, who_may

MAINTAINERS = who_may({Role.MAINTAINER})
REFUSAL_ANSWERS: dict[Refusal, tuple[int, ErrorResponse, dict[str, str]]] = {
    "signed-out": (
        401,
        ErrorResponse(
            code="signed-out", message="This is for maintainers.", advice="Sign in, or send a token of yours."
        ),
        {"www-authenticate": "Bearer"},
    ),
    "stranger": (
        403,
        ErrorResponse(
            code="not-allowed", message=f"This can be seen by {MAINTAINERS}.", advice="Ask one of them for help."
        ),
        {},
    ),
    "unsure": (
        503,
        ErrorResponse(
            code="unsure", message="Nobody could say whether you are a maintainer.", advice="Ask again shortly."
        ),
        {"retry-after": "5"},
    ),
}
STATUSES = {"woken": 200, "not-parked": 409, "not-allowed": 403, "under-way": 202}
REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": ErrorResponse, "description": "Nobody is signed in, and there is no token that the Hub knows."},
    403: {"model": ErrorResponse, "description": "This is for maintainers."},
}
WOKEN: dict[int | str, dict[str, Any]] = {
    202: {"model": models.WakeResponse, "description": "No sync process has taken it up yet."},
    409: {"model": models.WakeResponse, "description": "It is not parked."},
}
BearerToken = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]


@dataclass
class ApiAccess:
    """Who may call these."""

    require_maintainer: RequireMaintainer
    owners: Owners

    async def enter(self, request: Request, bearer: HTTPAuthorizationCredentials | None) -> Person | Visitor:
        """The maintainer who calls, by token or else by cookie. Raises CannotAnswer."""
        if bearer is None:
            found = await self.require_maintainer.visitor(request)
            if isinstance(found, Visitor):
                return found
            raise _refusal(found)
        account = await self.owners.person(shown_token(bearer), client_of(request))
        person = Person(account.id, account.name)
        if (why := await self.require_maintainer.refuses(person)) is not None:
            raise _refusal(why)
        return person


def maintain_api_routes(require_maintainer: RequireMaintainer, seen: MaintenanceReader, owners: Owners) -> APIRouter:
    """The routes of one board."""
    routes = APIRouter(prefix="/api/maintain", tags=["maintain"], responses={**PROBLEMS, **REFUSALS})
    api_access = ApiAccess(require_maintainer, owners)

    @routes.get("/inbox", summary="Deliveries of the Hub", response_model=models.DeliveryListResponse)
    async def inbox(
        request: Request,
        bearer: BearerToken,
        before: Annotated[str, Query(max_length=40, description="`next` of the page before")] = "",
        verdict: Annotated[str, Query(max_length=20, description=f"one of {', '.join(VERDICTS)}")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Response:
        """What came, newest first, what was made of each, and what has become of what it marked."""
        await api_access.enter(request, bearer)
        found = await run_in_threadpool(lambda: seen.inbox(before=before, verdict=verdict, limit=limit))
        return answer(request, found, headers=PRIVATE)

    @routes.get(
        "/inbox/{name}",
        summary="One delivery",
        response_model=models.DeliveryResponse,
        responses={404: {"model": ErrorResponse, "description": "It is not kept, or not any more."}},
    )
    async def delivery(request: Request, bearer: BearerToken, name: Annotated[str, Path(max_length=100)]) -> Response:
        """One delivery with its body, which is strangers' words."""
        await api_access.enter(request, bearer)
        found = await run_in_threadpool(seen.delivery, name)
        if found is None:
            raise CannotAnswer(404, ErrorResponse(code="no-delivery", message="It is not kept, or not any more."))
        return answer(request, found, headers=PRIVATE)

    @routes.get("/parked", summary="Parked syncs", response_model=models.ParkedListResponse)
    async def parked(request: Request, bearer: BearerToken) -> Response:
        """The syncs that failed too often, with what the last try failed of."""
        await api_access.enter(request, bearer)
        return answer(request, await run_in_threadpool(seen.parked), headers=PRIVATE)

    @routes.post("/parked/wake", summary="Wake a parked sync", response_model=models.WakeResponse, responses=WOKEN)
    async def wake(
        request: Request,
        bearer: BearerToken,
        body: models.WakeBody,
        x_csrf_token: Annotated[
            str, Header(max_length=200, description="`csrf` of /api/me, where no token is sent")
        ] = "",
    ) -> Response:
        """Try a parked sync again; who had it done is kept in the record of decisions."""
        found = await api_access.enter(request, bearer)
        if isinstance(found, Visitor):
            found.expect(x_csrf_token)
        person = found.person if isinstance(found, Visitor) else found
        code = await require_maintainer.wake(person, body.key) or "under-way"
        told = models.WakeResponse(code=code, message=render("woken", code=code).strip())
        return answer(request, told, status=STATUSES[code], headers=PRIVATE)

    @routes.get("/unknown", summary="Unknown causes", response_model=models.UnknownListResponse)
    async def unknown(request: Request, bearer: BearerToken) -> Response:
        """The requests that failed of nobody knows what."""
        await api_access.enter(request, bearer)
        return answer(request, await run_in_threadpool(seen.unknown), headers=PRIVATE)

    return routes


def _refusal(why: Refusal) -> CannotAnswer:
    return CannotAnswer(*REFUSAL_ANSWERS[why])
