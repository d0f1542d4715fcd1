"""Pages for maintainers: what came from the Hub, what is parked and can be woken, what failed of nobody knows what.

None of them is shown in a frame, or kept by a browser. What changes something is a form with the token of the session,
and is carried out by a sync that reads the person's role afresh and records who it was.
"""

from __future__ import annotations

from typing import Any, get_args

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from bot.intake.deliveries import VERDICTS
from bot.web.answers import PRIVATE, CannotAnswer
from bot.web.frame import Frame
from bot.web.incoming import body_of, choice, form_in, words
from bot.web.maintain.access import Refusal, RequireMaintainer
from bot.web.maintain.views import MaintenanceReader
from bot.web.visitors import FORM_TOKEN, Visitor
from redis_state.board.maintainer_actions import Code

STATUSES: dict[Refusal | str, int] = {"signed-out": 401, "stranger": 403, "unsure": 503, "form": 403}
SHOWN = 50
OUTCOMES = (*get_args(Code), "under-way")
"""What a wake may have come to, as a page is told by its own address."""


def maintain_routes(require_maintainer: RequireMaintainer, seen: MaintenanceReader, frame: Frame) -> APIRouter:
    """These pages of one board."""
    routes, board = APIRouter(include_in_schema=False), require_maintainer.context.board

    async def page(request: Request, name: str, visitor: Visitor, **values: Any) -> Response:
        return await run_in_threadpool(
            lambda: frame.page(request, f"maintain_{name}", alone=True, form_token=visitor.form_token, **values)
        )

    async def refused(request: Request, why: Refusal | str) -> Response:
        status, organisations = STATUSES[why], board.maintainer_organisations
        return await run_in_threadpool(
            lambda: frame.page(
                request, "maintain_refused", status=status, alone=True, why=why, organisations=organisations
            )
        )

    @routes.get("/maintain")
    def first() -> Response:
        return RedirectResponse("/maintain/parked", 303, PRIVATE)

    @routes.get("/maintain/parked")
    async def parked(request: Request) -> Response:
        visitor = await require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await refused(request, visitor)
        found = await run_in_threadpool(seen.parked)
        return await page(request, "parked", visitor, found=found, done=choice(request, "done", OUTCOMES))

    @routes.post("/maintain/parked/wake")
    async def wake(request: Request) -> Response:
        fields = form_in(await body_of(request))
        visitor = await require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await refused(request, visitor)
        try:
            visitor.expect(fields.get(FORM_TOKEN))
        except CannotAnswer:
            return await refused(request, "form")
        done = await require_maintainer.wake(visitor.person, fields.get("key", ""))
        return RedirectResponse(f"/maintain/parked?done={done or 'under-way'}", 303, PRIVATE)

    @routes.get("/maintain/inbox")
    async def inbox(request: Request) -> Response:
        visitor = await require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await refused(request, visitor)
        before, verdict = words(request, "before")[:40], choice(request, "verdict", tuple(VERDICTS))
        found = await run_in_threadpool(lambda: seen.inbox(before=before, verdict=verdict, limit=SHOWN))
        return await page(request, "inbox", visitor, found=found, verdict=verdict, verdicts=VERDICTS)

    @routes.get("/maintain/inbox/{name}")
    async def delivery(request: Request, name: str) -> Response:
        visitor = await require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await refused(request, visitor)
        found = await run_in_threadpool(seen.delivery, name[:100])
        if found is None:
            return await run_in_threadpool(
                lambda: frame.page(request, "maintain_gone", status=404, alone=True, said=name[:100])
            )
        return await page(request, "delivery", visitor, one=found)

    @routes.get("/maintain/unknown")
    async def unknown(request: Request) -> Response:
        visitor = await require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await refused(request, visitor)
        return await page(request, "unknown", visitor, found=await run_in_threadpool(seen.unknown))

    return routes
