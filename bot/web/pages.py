"""Pages for people: plain HTML that needs no script. Everything that strangers wrote is escaped by the templates."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bot.commands.verbs import REGISTRY
from bot.desk import Desk
from bot.web.lists import BadCursor
from bot.web.talks import decisions, readable, threads_waiting
from leaderboard.roles import who_may

SHOWN = 50
"""Decisions on a page."""
STYLE = (files("bot.web") / "static" / "plain.css").read_text("utf-8")
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
HEADERS = {
    # Nothing may be loaded from anywhere, and no script runs; the one style sheet is known by its digest.
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
TEMPLATES = Environment(
    loader=PackageLoader("bot.web", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["readable"] = readable


def page(name: str, **values: object) -> HTMLResponse:
    """The page that `templates/{name}.html` makes of `values`."""
    text = TEMPLATES.get_template(f"{name}.html").render(style=Markup(STYLE), **values)  # noqa: S704  our own file
    return HTMLResponse(text, headers=HEADERS)


def page_routes(desk: Desk) -> APIRouter:
    """The pages of one board."""
    routes = APIRouter(include_in_schema=False)
    title = desk.board.title

    @routes.get("/commands")
    def commands() -> Response:
        return page("commands", title=title, verbs=REGISTRY.verbs, who_may=who_may)

    @routes.get("/decisions")
    def decided(cursor: Annotated[str, Query(max_length=2_000)] = "") -> Response:
        try:
            found = decisions(desk, cursor=cursor, limit=SHOWN)
        except BadCursor:
            found = decisions(desk, limit=SHOWN)
        return page("decisions", title=title, found=found)

    @routes.get("/threads-waiting")
    def waiting() -> Response:
        return page("threads_waiting", title=title, threads=threads_waiting(desk).threads)

    return routes
