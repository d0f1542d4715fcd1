"""Routes of localhub: reads are answered in the event loop, writes in threads, and all routes are in one list."""

from __future__ import annotations

import asyncio
import threading

import httpx
from fastapi import FastAPI
from starlette.routing import Route

from localhub.app import application
from localhub.http.routing import HubRouter


def test_reads_run_in_the_event_loop_and_writes_in_threads() -> None:
    """A read is answered in the event loop, a write in a thread, so that no read waits for a write."""
    inner, outer, app = HubRouter(tags=["inner"]), HubRouter(tags=["outer"]), FastAPI()

    @inner.get("/thread")
    def read() -> int:
        return threading.get_ident()

    @inner.post("/thread")
    def write() -> int:
        return threading.get_ident()

    outer.join(inner)
    app.router.routes.extend(outer.routes)

    async def threads() -> tuple[int, int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://hub") as client:
            return (await client.get("/thread")).json(), (await client.post("/thread")).json()

    of_read, of_write = asyncio.run(threads())
    assert of_read == threading.get_ident() != of_write
    assert app.openapi()["paths"]["/thread"]["get"]["tags"] == ["inner"]


def test_all_routes_are_in_one_flat_list() -> None:
    """The application's routes are in one flat list, because FastAPI searches included routers twice for each call."""
    assert all(isinstance(route, Route) for route in application().routes)
    assert len(application().routes) > 150
