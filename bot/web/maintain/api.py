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
from bot.read_models.models import Problem
from bot.web.answers import PRIVATE, CannotAnswer, answer
from bot.web.api import PROBLEMS
from bot.web.incoming import client_of
from bot.web.maintain import models
from bot.web.maintain.access import Gate, No
from bot.web.maintain.views import Maintenance
from bot.web.tokens import BEARER, Owners, shown_token
from bot.web.visitors import Visitor
from leaderboard.roles import Person, Role, who_may

MAINTAINERS = who_may({Role.MAINTAINER})
NO: dict[No, tuple[int, Problem, dict[str, str]]] = {
    "signed-out": (
        401,
        Problem(code="signed-out", message="This is for maintainers.", advice="Sign in, or send a token of yours."),
        {"www-authenticate": "Bearer"},
    ),
    "stranger": (
        403,
        Problem(code="not-allowed", message=f"This can be seen by {MAINTAINERS}.", advice="Ask one of them for help."),
        {},
    ),
    "unsure": (
        503,
        Problem(code="unsure", message="Nobody could say whether you are a maintainer.", advice="Ask again shortly."),
        {"retry-after": "5"},
    ),
}
STATUSES = {"woken": 200, "not-parked": 409, "not-allowed": 403, "under-way": 202}
REFUSALS: dict[int | str, dict[str, Any]] = {
    401: {"model": Problem, "description": "Nobody is signed in, and there is no token that the Hub knows."},
    403: {"model": Problem, "description": "This is for maintainers."},
}
WOKEN: dict[int | str, dict[str, Any]] = {
    202: {"model": models.Woken, "description": "No sync process has taken it up yet."},
    409: {"model": models.Woken, "description": "It is not parked."},
}
Shown = Annotated[HTTPAuthorizationCredentials | None, Security(BEARER)]


@dataclass
class Door:
    """Who may call these."""

    gate: Gate
    owners: Owners

    async def enter(self, request: Request, shown: HTTPAuthorizationCredentials | None) -> Person | Visitor:
        """The maintainer who calls, by token or else by cookie. Raises CannotAnswer."""
        if shown is None:
            found = await self.gate.visitor(request)
            if isinstance(found, Visitor):
                return found
            raise _no(found)
        account = await self.owners.person(shown_token(shown), client_of(request))
        person = Person(account.id, account.name)
        if (why := await self.gate.refuses(person)) is not None:
            raise _no(why)
        return person


def maintain_api_routes(gate: Gate, seen: Maintenance, owners: Owners) -> APIRouter:
    """The routes of one board."""
    routes = APIRouter(prefix="/api/maintain", tags=["maintain"], responses={**PROBLEMS, **REFUSALS})
    door = Door(gate, owners)

    @routes.get("/inbox", summary="Deliveries of the Hub", response_model=models.DeliveryList)
    async def inbox(
        request: Request,
        shown: Shown,
        before: Annotated[str, Query(max_length=40, description="`next` of the page before")] = "",
        verdict: Annotated[str, Query(max_length=20, description=f"one of {', '.join(VERDICTS)}")] = "",
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Response:
        """What came, newest first, what was made of each, and what has become of what it marked."""
        await door.enter(request, shown)
        found = await run_in_threadpool(lambda: seen.inbox(before=before, verdict=verdict, limit=limit))
        return answer(request, found, headers=PRIVATE)

    @routes.get(
        "/inbox/{name}",
        summary="One delivery",
        response_model=models.DeliveryBody,
        responses={404: {"model": Problem, "description": "It is not kept, or not any more."}},
    )
    async def delivery(request: Request, shown: Shown, name: Annotated[str, Path(max_length=100)]) -> Response:
        """One delivery with its body, which is strangers' words."""
        await door.enter(request, shown)
        found = await run_in_threadpool(seen.delivery, name)
        if found is None:
            raise CannotAnswer(404, Problem(code="no-delivery", message="It is not kept, or not any more."))
        return answer(request, found, headers=PRIVATE)

    @routes.get("/parked", summary="Parked syncs", response_model=models.ParkedList)
    async def parked(request: Request, shown: Shown) -> Response:
        """The syncs that failed too often, with what the last try failed of."""
        await door.enter(request, shown)
        return answer(request, await run_in_threadpool(seen.parked), headers=PRIVATE)

    @routes.post("/parked/wake", summary="Wake a parked sync", response_model=models.Woken, responses=WOKEN)
    async def wake(
        request: Request,
        shown: Shown,
        body: models.Wake,
        x_csrf_token: Annotated[
            str, Header(max_length=200, description="`csrf` of /api/me, where no token is sent")
        ] = "",
    ) -> Response:
        """Try a parked sync again; who had it done is kept in the record of decisions."""
        found = await door.enter(request, shown)
        if isinstance(found, Visitor):
            found.expect(x_csrf_token)
        person = found.person if isinstance(found, Visitor) else found
        code = await gate.wake(person, body.key) or "under-way"
        told = models.Woken(code=code, message=render("woken", code=code).strip())
        return answer(request, told, status=STATUSES[code], headers=PRIVATE)

    @routes.get("/unknown", summary="Unknown causes", response_model=models.UnknownList)
    async def unknown(request: Request, shown: Shown) -> Response:
        """The requests that failed of nobody knows what."""
        await door.enter(request, shown)
        return answer(request, await run_in_threadpool(seen.unknown), headers=PRIVATE)

    return routes


def _no(why: No) -> CannotAnswer:
    return CannotAnswer(*NO[why])
