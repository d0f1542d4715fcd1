"""Rendering of templates to Markdown, with untrusted values escaped.

Every value that a template prints is escaped, unless a filter made it safe: no name, reason or log line can mention a
person, open a link, close a fold, hide in a comment or look like one of the bot's markers.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

BOT = Path(__file__).resolve().parents[1]
ZERO_WIDTH_SPACE = "\u200b"
_SPECIAL = re.compile(r"([\\`*_{}\[\]|~])")
_AT_THE_START = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$))|)([#+>=.)-])")


class Safe(str):
    """Markdown that needs no escaping."""

    __slots__ = ()


def visible(line: str) -> str:
    """`line` without characters that move a terminal's cursor or turn the direction of reading; spaces stay."""
    return "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def printable(value: object, *, limit: int = 2_000) -> str:
    """`value` on one line, without control and direction characters, cut at `limit` with a word that it was."""
    kept = visible(" ".join(str(value).split()))
    return kept if len(kept) <= limit else kept[:limit] + " … (cut)"


def plain(value: object) -> Safe:
    """`value` as prose: every character that means something in Markdown or HTML is made to mean itself."""
    if isinstance(value, Safe):
        return value
    escaped = _SPECIAL.sub(r"\\\1", printable(value)).replace("&", "&amp;").replace("<", "&lt;")
    escaped = _AT_THE_START.sub(r"\1\\\2", escaped)  # a heading, list, quote or rule, were it alone on a line
    escaped = escaped.replace("@", "@" + ZERO_WIDTH_SPACE).replace("://", ":" + ZERO_WIDTH_SPACE + "//")
    return Safe(re.sub(r"\bwww\.", "www" + ZERO_WIDTH_SPACE + ".", escaped, flags=re.IGNORECASE))


def code(value: object) -> Safe:
    """`value` as a code span, inside which nothing is a mention, a link or HTML."""
    words = printable(value, limit=500) or " "
    longest = max((len(run) for run in re.findall(r"`+", words)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if words.startswith("`") or words.endswith("`") else ""
    # A bar would end the cell of a table, even inside a code span.
    return Safe(
        f"{fence}{pad}{words}{pad}{fence}".replace("|", "\\|") if "|" in words else f"{fence}{pad}{words}{pad}{fence}"
    )


def url(value: object) -> Safe:
    """An address that Steward put together itself, as the target of a link; whatever could end it is encoded."""
    kept = re.sub(
        r"[^\w\-./:~%?=&#@+,]",
        lambda found: "".join(f"%{b:02X}" for b in found[0].encode(errors="replace")),
        str(value),
    )
    return Safe(kept)


def _finalize(value: Any) -> str:
    return plain(value)


def name(value: object) -> Safe:
    """The name of an account, to be mentioned; anything that cannot be one is printed as prose."""
    words = str(value)
    return Safe(words) if re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,94}[A-Za-z0-9])?", words) else plain(value)


ENVIRONMENT = Environment(
    loader=FileSystemLoader(sorted(BOT.glob("*/texts"))),
    autoescape=False,  # noqa: S701  this is Markdown: _finalize escapes everything that is printed
    undefined=StrictUndefined,
    finalize=_finalize,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters.update(code=code, url=url, plain=plain, name=name)


def render(template: str, **values: object) -> str:
    """Render `{template}.md.j2`, which lies in the folder `texts` of its slice, and collapse runs of blank lines."""
    return _tidy(ENVIRONMENT.get_template(f"{template}.md.j2").render(**values))


def render_text(template: str, **values: object) -> str:
    """`render`, of a template that is given itself: one of our own, from a table."""
    return _tidy(ENVIRONMENT.from_string(template).render(**values))


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
