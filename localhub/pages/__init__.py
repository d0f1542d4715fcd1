"""The templates of the pages, and their filters.

Pages have no JavaScript and load nothing from other sites. The content security policy forbids both, so that a user's
text that got past the escaping could still do nothing.
"""

from __future__ import annotations

import hashlib
import zlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import jinja2

from localhub.clock import iso
from localhub.markdown import render as markdown

FOLDER = Path(__file__).parent
STATIC = {"localhub.css": "text/css", "icon.svg": "image/svg+xml"}

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def render_template(template: str, **content: Any) -> bytes:
    """A page as UTF-8; the templates need at least `me`, `people`, `here` and `now`."""
    text = _ENV.get_template(template).render({"css_version": _CSS_VERSION, **content})
    return text.encode("utf-8", "replace")


def query(**parameters: object) -> str:
    """The query string `?a=b` of the parameters that are not None."""
    return "?" + urlencode({name: value for name, value in parameters.items() if value is not None})


def breadcrumbs(base: str, rev: str, path: str) -> list[tuple[str, str]]:
    """The parts of a path with their addresses."""
    root = f"{quote(base)}/tree/{quote(rev, safe='')}"
    parts = path.split("/") if path else []
    return [(name, f"{root}/{quote('/'.join(parts[: n + 1]))}") for n, name in enumerate(parts)]


def _moment(when: datetime | str) -> datetime:
    return datetime.fromisoformat(when) if isinstance(when, str) else when


@jinja2.pass_context
def _ago(context: jinja2.runtime.Context, when: datetime | str) -> str:
    moment, now = _moment(when), context["now"]
    age = now - moment
    if age > timedelta(days=30):
        return f"{moment:%d %b %Y}".lstrip("0")
    for seconds, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        count = int(age.total_seconds() // seconds)
        if count >= 1:
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
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
