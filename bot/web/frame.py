"""Render every page: escaped templates, headers that block foreign content, style and script from this server.

Pages contain no inline script, style or handler, so the content policy needs no exception: untrusted text could not
run even if it were not escaped.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import secrets
from collections.abc import Mapping
from importlib import resources
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from bot.core.relative_times import stamp
from bot.read_models.models import PHASES, ErrorResponse
from bot.web.answers import FRESH, PRIVATE, tagged
from bot.web.visitors import Visitors
from leaderboard.attempts import Fault
from leaderboard.submission_kinds import MODELS_ALONE, SubmissionKinds
from leaderboard.times import read_time, write_time

STATIC: Mapping[str, str] = {
    "board.css": "text/css; charset=utf-8",
    "board.js": "text/javascript; charset=utf-8",
    "details.css": "text/css; charset=utf-8",
    "leaderboard.css": "text/css; charset=utf-8",
    "leaderboard.js": "text/javascript; charset=utf-8",
    "snapshot.js": "text/javascript; charset=utf-8",
    "maintain.css": "text/css; charset=utf-8",
    "form.css": "text/css; charset=utf-8",
    "form.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
FILES = {name: (resources.files("bot.web") / "static" / name).read_bytes() for name in STATIC}
COMPRESSED = {name: gzip.compress(content, mtime=0) for name, content in FILES.items()}
DIGESTS = {name: hashlib.sha256(content).hexdigest()[:12] for name, content in FILES.items()}
FAULTS: Mapping[Fault, str] = {
    "submission": "The problem is in the submission.",
    "us": "The problem was on our side.",
    "hub": "The problem was on the Hub's side.",
    "unknown": "Where the problem was is not known yet.",
}
WORDS = {"new": "being checked", "elsewhere": "with another backend", "settled": "just ended"}
"""State of a request → its label; other states are their own label."""

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).disable("image")
_HIDDEN = re.compile(r"<!--.*?-->", re.DOTALL)


class Frame:
    """Renders the pages of one board. `discussions` is the address of its discussions on the Hub.

    `ancestors` are the origins that may show the pages in a frame, none by default. The template of all pages shows
    `menu`, links in other sites' previews begin with `pages_url`, and `takes` are the kinds of submissions.

    With `visitors`, every page names the person who is signed in, and no cache stores the pages that they see.
    """

    def __init__(
        self,
        title: str,
        discussions: str,
        ancestors: str = "",
        visitors: Visitors | None = None,
        menu: object = None,
        pages_url: str = "",
        takes: SubmissionKinds = MODELS_ALONE,
    ) -> None:
        self.title = title
        self.visitors = visitors if visitors is not None and visitors.app is not None else None
        varying = {"vary": "cookie"} if self.visitors is not None else {}
        self.headers = {**FRESH, **headers(ancestors), **varying}
        self.alone = {**FRESH, **headers(), **PRIVATE}
        self._templates = new_templates()
        self._templates.globals.update(
            PHASES=PHASES, FAULTS=FAULTS, WORDS=WORDS, static=static_address, new_key=new_key
        )
        self._templates.globals.update(discussions=discussions, menu=menu, pages_url=pages_url)
        self._templates.globals.update(takes=takes, subject="Model" if takes.models else "Predictions")
        self._templates.globals.update(owns=visitors.owns if visitors is not None else None)
        self._templates.globals.update(can_sign_in=self.visitors is not None, framed=bool(ancestors))

    def page(
        self, request: Request, name: str, *, status: int = 200, alone: bool = False, **values: object
    ) -> Response:
        """The page that `templates/{name}.html` renders from `values`; 304 if the client has it already.

        `alone`: the page is for people who are signed in, so no other site may show it in a frame.
        """
        visitor = self.visitors.of(request) if self.visitors is not None else None
        body = self._body(request, name, visitor=visitor, **values)
        if alone or visitor is not None:
            return HTMLResponse(body, status, self.alone if alone else {**self.headers, **PRIVATE})
        return tagged(request, body, "text/html", self.headers, status=status)

    def problem(self, request: Request, status: int, problem: ErrorResponse) -> Response:
        """The page that shows a problem. It reads nothing from Redis, not even who is signed in."""
        body = self._body(request, "problem", visitor=None, status=status, problem=problem)
        return HTMLResponse(body, status, {**self.headers, "cache-control": "no-store"})

    def _body(self, request: Request, name: str, **values: object) -> bytes:
        template = self._templates.get_template(f"{name}.html")
        origin = str(request.base_url).rstrip("/")
        frame = {"board": self.title, "here": request.url.path, "back": _address(request), "origin": origin}
        return template.render(**frame, **values).encode("utf-8", "replace")


def _address(request: Request) -> str:
    """The address of the requested page with its query; "/" for anything but a GET."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}" if request.method == "GET" else "/"


def new_templates() -> Environment:
    """The templates of all pages, with the filters that they use."""
    templates = Environment(
        loader=PackageLoader("bot.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(time=time_tag, path=as_path, query=as_query, short=short, markdown=markdown)
    return templates


def headers(ancestors: str = "") -> dict[str, str]:
    """The security headers of every page: only our own files load, and only `ancestors` may show it in a frame."""
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        f"form-action 'self'; base-uri 'none'; frame-ancestors {ancestors or chr(39) + 'none' + chr(39)}"
    )
    framing = {} if ancestors else {"x-frame-options": "DENY"}
    return {"content-security-policy": policy, "referrer-policy": "no-referrer", **framing}


def static_routes() -> APIRouter:
    """Style, script and icon, each at an address that changes with its contents and may be cached for a year.

    During an upgrade a page of the new server may ask the old one for a file whose contents differ: that answer must
    not be cached.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.get("/static/{name}")
    def static(request: Request, name: str) -> Response:
        if name not in FILES:
            return Response(status_code=404)
        is_current = request.url.query == DIGESTS[name]
        caching = "public, max-age=31536000, immutable" if is_current else "no-store"
        headers = {"cache-control": caching, "x-content-type-options": "nosniff", "vary": "accept-encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(FILES[name], headers=headers, media_type=STATIC[name])
        return Response(COMPRESSED[name], headers={**headers, "content-encoding": "gzip"}, media_type=STATIC[name])

    return routes


def static_address(name: str) -> str:
    """The address of a static file."""
    return f"/static/{name}?{DIGESTS[name]}"


def new_key() -> str:
    """A key for one form: a form that is sent twice has the same key, and each newly rendered form another one."""
    return secrets.token_urlsafe(12)


def time_tag(at: str | None) -> Markup:
    """An ISO time in readable form. The script adds the relative time, so that the page's ETag stays the same."""
    if not at:
        return Markup("")
    if (seconds := read_time(at)) is None:
        return Markup("<time>{}</time>").format(at)
    return Markup('<time datetime="{}">{}</time>').format(write_time(seconds), stamp(seconds))


def as_path(value: str) -> str:
    """A path or a name, quoted as part of an address."""
    return quote(value.encode("utf-8", "replace"), safe="/")


def as_query(values: Mapping[str, object]) -> Markup:
    """`?a=b&…` without empty values, escaped for an attribute."""
    fields = {name: str(value).encode("utf-8", "replace") for name, value in values.items() if value not in ("", None)}
    return escape("?" + urlencode(fields))


def markdown(text: str) -> Markup:
    """An answer of the bot, as HTML without raw HTML, pictures and hidden markers."""
    return Markup(_MARKDOWN.render(without_hidden(text)))  # noqa: S704


def without_hidden(text: str) -> str:
    """`text` without its hidden markers.

    Only the text up to the last `-->` is searched: behind it, each `<!--` would make the search read all of the rest.
    """
    before, end, rest = text.rpartition("-->")
    return _HIDDEN.sub("", before + end) + rest


def short(value: str) -> str:
    """The first characters of a commit."""
    return value[:8]
