"""Pages for maintainers: the inbox of deliveries, parked syncs and waking them, failures with an unknown cause.

The pages refuse to be framed or cached. An action is a form with the session's token, executed by a sync that reads
the person's role again and records the decision.
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
from redis_state.board.messages import Code

STATUSES: dict[Refusal | str, int] = {"signed-out": 401, "stranger": 403, "unsure": 503, "form": 403}
PAGE_ROWS = 50
OUTCOMES = (*get_args(Code), "under-way")
"""Outcomes of a wake, which the page reads from its query."""


def maintain_routes(require_maintainer: RequireMaintainer, reader: MaintenanceReader, frame: Frame) -> APIRouter:
    """The maintainers' pages of one board."""
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
        syncs = await run_in_threadpool(reader.parked)
        return await page(request, "parked", visitor, found=syncs, done=choice(request, "done", OUTCOMES))

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
        code = await require_maintainer.wake(visitor.person, fields.get("key", ""))
        return RedirectResponse(f"/maintain/parked?done={code or 'under-way'}", 303, PRIVATE)

    @routes.get("/maintain/inbox")
    async def inbox(request: Request) -> Response:
        visitor = await require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await refused(request, visitor)
        before, verdict = words(request, "before")[:40], choice(request, "verdict", tuple(VERDICTS))
        deliveries = await run_in_threadpool(lambda: reader.inbox(before=before, verdict=verdict, limit=PAGE_ROWS))
        return await page(request, "inbox", visitor, found=deliveries, verdict=verdict, verdicts=VERDICTS)

    @routes.get("/maintain/inbox/{name}")
    async def delivery(request: Request, name: str) -> Response:
        visitor = await require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await refused(request, visitor)
        stored = await run_in_threadpool(reader.delivery, name[:100])
        if stored is None:
            return await run_in_threadpool(
                lambda: frame.page(request, "maintain_gone", status=404, alone=True, said=name[:100])
            )
        return await page(request, "delivery", visitor, one=stored)

    @routes.get("/maintain/unknown")
    async def unknown(request: Request) -> Response:
        visitor = await require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await refused(request, visitor)
        return await page(request, "unknown", visitor, found=await run_in_threadpool(reader.unknown))

    return routes
