"""Pages for maintainers: the inbox of deliveries, parked syncs and waking them, failures with an unknown cause.

The pages refuse to be framed or cached. An action is a form with the session's token, executed by a sync that reads
the person's role again and records the decision.
"""

from __future__ import annotations

from dataclasses import dataclass
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
"""Reason why a page is refused → HTTP status."""
PAGE_ROWS = 50
"""Deliveries on one page of the inbox."""
OUTCOMES = (*get_args(Code), "under-way")
"""Outcomes of a wake, which the page reads from its query."""


def maintain_routes(require_maintainer: RequireMaintainer, reader: MaintenanceReader, frame: Frame) -> APIRouter:
    """The maintainers' pages of one board."""
    routes, pages = APIRouter(include_in_schema=False), MaintainPages(require_maintainer, frame)

    @routes.get("/maintain")
    def first() -> Response:
        return RedirectResponse("/maintain/parked", 303, PRIVATE)

    _add_parked(routes, pages, reader)
    _add_inbox(routes, pages, reader)
    _add_unknown(routes, pages, reader)
    return routes


@dataclass(frozen=True)
class MaintainPages:
    """Renders the maintainers' pages, and the page that other visitors see instead."""

    require_maintainer: RequireMaintainer
    frame: Frame

    async def page(self, request: Request, name: str, visitor: Visitor, **values: Any) -> Response:
        """The page of the template `maintain_<name>` with these values."""
        return await run_in_threadpool(
            lambda: self.frame.page(request, f"maintain_{name}", alone=True, form_token=visitor.form_token, **values)
        )

    async def refused(self, request: Request, reason: Refusal | str) -> Response:
        """The page that says why the visitor sees no page of the maintainers; `reason` is a key of STATUSES."""
        status, organisations = STATUSES[reason], self.require_maintainer.context.board.maintainer_organisations
        return await run_in_threadpool(
            lambda: self.frame.page(
                request, "maintain_refused", status=status, alone=True, why=reason, organisations=organisations
            )
        )

    async def gone(self, request: Request, name: str) -> Response:
        """The page that says that no delivery of this name is stored."""
        return await run_in_threadpool(
            lambda: self.frame.page(request, "maintain_gone", status=404, alone=True, said=name)
        )


def _add_parked(routes: APIRouter, pages: MaintainPages, reader: MaintenanceReader) -> None:
    require_maintainer = pages.require_maintainer

    @routes.get("/maintain/parked")
    async def parked(request: Request) -> Response:
        visitor = await require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await pages.refused(request, visitor)
        syncs = await run_in_threadpool(reader.parked)
        return await pages.page(request, "parked", visitor, found=syncs, done=choice(request, "done", OUTCOMES))

    @routes.post("/maintain/parked/wake")
    async def wake(request: Request) -> Response:
        fields = form_in(await body_of(request))
        visitor = await require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await pages.refused(request, visitor)
        try:
            visitor.expect(fields.get(FORM_TOKEN))
        except CannotAnswer:
            return await pages.refused(request, "form")
        code = await require_maintainer.wake(visitor.person, fields.get("key", ""))
        return RedirectResponse(f"/maintain/parked?done={code or 'under-way'}", 303, PRIVATE)


def _add_inbox(routes: APIRouter, pages: MaintainPages, reader: MaintenanceReader) -> None:
    @routes.get("/maintain/inbox")
    async def inbox(request: Request) -> Response:
        visitor = await pages.require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await pages.refused(request, visitor)
        before, verdict = words(request, "before")[:40], choice(request, "verdict", tuple(VERDICTS))
        deliveries = await run_in_threadpool(lambda: reader.inbox(before=before, verdict=verdict, limit=PAGE_ROWS))
        return await pages.page(request, "inbox", visitor, found=deliveries, verdict=verdict, verdicts=VERDICTS)

    @routes.get("/maintain/inbox/{name}")
    async def delivery(request: Request, name: str) -> Response:
        visitor = await pages.require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await pages.refused(request, visitor)
        stored = await run_in_threadpool(reader.delivery, name[:100])
        if stored is None:
            return await pages.gone(request, name[:100])
        return await pages.page(request, "delivery", visitor, delivery=stored)


def _add_unknown(routes: APIRouter, pages: MaintainPages, reader: MaintenanceReader) -> None:
    @routes.get("/maintain/unknown")
    async def unknown(request: Request) -> Response:
        visitor = await pages.require_maintainer.visitor(request)
        if not isinstance(visitor, Visitor):
            return await pages.refused(request, visitor)
        return await pages.page(request, "unknown", visitor, found=await run_in_threadpool(reader.unknown))
