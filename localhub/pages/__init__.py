"""The pages: templates, their filters, and what every page shows around its content.

No JavaScript and nothing from elsewhere: the content security policy forbids both, so that a stranger's words which got
past the escaping still could do nothing.
"""

from __future__ import annotations

import hashlib
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from localhub.accounts.store import Account
from localhub.clock import iso, now
from localhub.markdown import render as markdown
from localhub.repos import access
from localhub.state import HubState

FOLDER = Path(__file__).parent
STATIC = {"localhub.css": "text/css", "icon.svg": "image/svg+xml"}
MENU = 100
"""Accounts that a menu offers."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def page(request: Request, template: str, status: int = 200, **content: Any) -> HTMLResponse:
    """A template as an answer, with the account that looks at it and those it could be."""
    state = access.state_of(request)
    me = account_of(request)
    around = {
        "me": me,
        "people": selectable_users(state, me),
        "here": _here(request),
        "now": now(state),
        "css_version": _CSS_VERSION,
    }
    text = _ENV.get_template(template).render({**around, **content})
    return HTMLResponse(text.encode("utf-8", "replace"), status, _HEADERS)


def account_of(request: Request) -> Account | None:
    """Whom the page is shown to."""
    return access.page_caller(request).account


def selectable_users(state: HubState, first: Account | None = None) -> list[Account]:
    """Users whom one may act as, `first` before the others."""
    users = state.accounts.all("user")
    if first:
        users = [first, *(user for user in users if user.id != first.id)]
    return users[:MENU]


def query(**parameters: object) -> str:
    """`?a=b` of what is not None."""
    return "?" + urlencode({name: value for name, value in parameters.items() if value is not None})


def breadcrumbs(base: str, rev: str, path: str) -> list[tuple[str, str]]:
    """The folders of a path with their addresses."""
    root = f"{quote(base)}/tree/{quote(rev, safe='')}"
    parts = path.split("/") if path else []
    return [(name, f"{root}/{quote('/'.join(parts[: n + 1]))}") for n, name in enumerate(parts)]


def _here(request: Request) -> str:
    path: str = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    return path if request.method == "GET" else path.rsplit("/comment/", 1)[0]


def _moment(when: datetime | str) -> datetime:
    return datetime.fromisoformat(when) if isinstance(when, str) else when


@jinja2.pass_context
def _ago(context: jinja2.runtime.Context, when: datetime | str) -> str:
    moment, shown = _moment(when), context["now"]
    passed = shown - moment
    if passed > timedelta(days=30):
        return f"{moment:%d %b %Y}".lstrip("0")
    for seconds, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        count = int(passed.total_seconds() // seconds)
        if count >= 1:
            return f"{count} {word}{'s' if count > 1 else ''} ago"
    return "just now"


def _size(size: int) -> str:
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def _hue(name: str) -> int:
    return zlib.crc32(name.encode("utf-8", "replace")) % 10


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(FOLDER)
    env = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    env.filters |= {
        "ago": _ago,
        "iso": lambda when: iso(_moment(when)),
        "stamp": lambda when: f"{_moment(when):%Y-%m-%d %H:%M:%S} UTC",
        "hue": _hue,
        "size": _size,
        "markdown": markdown,
        "path": quote,
        "segment": lambda text: quote(text, safe=""),
        "branch": lambda ref: ref.removeprefix("refs/heads/"),
    }
    return env


_ENV = _environment()
_CSS_VERSION = hashlib.blake2s((FOLDER / "localhub.css").read_bytes(), digest_size=6).hexdigest()
