"""Rendering of templates to Markdown, with untrusted values escaped.

Every value that a template prints is escaped, unless a filter made it safe: a name, reason or log line cannot mention a
person, make a link, end a collapsed part, hide in a comment or look like one of the bot's markers.
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
    """`line` without characters that move a terminal's cursor or change the direction of text; spaces stay."""
    return "".join(c for c in line if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))


def printable(value: object, *, limit: int = 2_000) -> str:
    """`value` on one line, without control and direction characters; after `limit` characters, "… (cut)" follows."""
    line = visible(" ".join(str(value).split()))
    return line if len(line) <= limit else line[:limit] + " … (cut)"


def plain(value: object) -> Safe:
    """`value` as prose: every character with a meaning in Markdown or HTML is escaped."""
    if isinstance(value, Safe):
        return value
    escaped = _SPECIAL.sub(r"\\\1", printable(value)).replace("&", "&amp;").replace("<", "&lt;")
    escaped = _AT_THE_START.sub(r"\1\\\2", escaped)  # or it would make a heading, list, quote or rule
    escaped = escaped.replace("@", "@" + ZERO_WIDTH_SPACE).replace("://", ":" + ZERO_WIDTH_SPACE + "//")
    return Safe(re.sub(r"\bwww\.", "www" + ZERO_WIDTH_SPACE + ".", escaped, flags=re.IGNORECASE))


def code(value: object) -> Safe:
    """`value` as a code span, in which the Hub sees no mention, link or HTML."""
    words = printable(value, limit=500) or " "
    longest = max((len(run) for run in re.findall(r"`+", words)), default=0)
    fence = "`" * (longest + 1)
    pad = " " if words.startswith("`") or words.endswith("`") else ""
    # A bar would end the cell of a table, even inside a code span.
    return Safe(f"{fence}{pad}{words}{pad}{fence}".replace("|", "\\|"))


def shell(value: object) -> Safe:
    """`value` as a code block of one line, without the characters that `visible` drops; its spaces stay."""
    line = visible(str(value))
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return Safe(f"{fence}sh\n{line}\n{fence}")


def url(value: object) -> Safe:
    """An address that Steward composed, as the target of a link; characters that could end it are encoded."""

    def encoded(match: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in match[0].encode(errors="replace"))

    return Safe(re.sub(r"[^\w\-./:~%?=&#@+,]", encoded, str(value)))


def _finalize(value: Any) -> str:
    return plain(value)


def name(value: object) -> Safe:
    """The name of an account, to mention it; a text that cannot be such a name is printed as prose."""
    text = str(value)
    return Safe(text) if re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,94}[A-Za-z0-9])?", text) else plain(value)


ENVIRONMENT = Environment(
    loader=FileSystemLoader(sorted(BOT.glob("*/texts"))),
    autoescape=False,  # noqa: S701  this is Markdown: _finalize escapes everything that is printed
    undefined=StrictUndefined,
    finalize=_finalize,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters |= {"code": code, "shell": shell, "url": url, "plain": plain, "name": name}


def render(template: str, **values: object) -> str:
    """Render `{template}.md.j2` from the folder `texts` of its slice, and collapse runs of blank lines."""
    return _tidy(ENVIRONMENT.get_template(f"{template}.md.j2").render(**values))


def render_text(template: str, **values: object) -> str:
    """`render` for the text of a template, such as one in a table of the bot's sentences."""
    return _tidy(ENVIRONMENT.from_string(template).render(**values))


def _tidy(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
