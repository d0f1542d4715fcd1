"""The commands in a comment: `/verb` alone on a line, with words and `key=value` after it.

    /relaunch org/model precision=bfloat16
    /hold reason="the authors asked for it"

A comment is Markdown, so a Markdown parser reads it, and only a line of a plain paragraph can be a command. Text in
code, a quote, a list, a table, a heading, HTML, an HTML comment or a link only mentions a command. An argument may be
in backticks, as people often write a model's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

MAX_COMMENT = 65_536
"""Characters of a comment that are read, as many as the Hub accepts."""
MOST = 5
"""Commands of one comment that are executed."""
MAX_VERBS = 100
"""Different words after a slash that are looked up for one comment; lines with further words are ignored."""
MAX_LINE = 2_000
"""Characters of a line that are read: more than any verb takes, so that too long arguments are refused, not cut."""

MAX_PARAGRAPH = 8_000
"""Characters of a paragraph in which commands are searched. Hostile markup takes time that grows with the square of its
length, and is parsed whenever its thread is read."""

_BLOCKS = MarkdownIt("commonmark").enable("table").disable("inline")
_INLINE = MarkdownIt("commonmark")
_MAYBE = re.compile(r"^[ ]{0,3}/[^\W\d_]", re.MULTILINE)
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that JSON can hold and files cannot: records of commands are stored in files."""
_VERB = re.compile(r"/([^\W\d_][\w-]{0,39})[.,:;!?]{0,3}(?:\s+(.*))?", re.DOTALL)
_KEY = re.compile(r"([a-z][a-z_]{0,30})=(.*)", re.DOTALL)
_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "‘": "’"}


@dataclass(frozen=True)
class Word:
    """One argument: with a `key` if it was written as `key=value`; `quoted` if it was in quotes or backticks."""

    text: str
    key: str | None = None
    quoted: bool = False


@dataclass(frozen=True)
class Command:
    """A line with the form of a command. `verb` is in lower case; the registry knows whether it exists."""

    verb: str
    words: tuple[Word, ...]
    line: str


def commands_in(text: str, is_verb: Callable[[str], bool] = lambda _: True) -> list[Command]:
    """The commands in a comment, in order: lines with the form of a command whose word satisfies `is_verb`.

    Never raises, for any `text`; returns at most MOST + 1. Paths and commands of other bots, which are frequent
    in logs, are skipped and do not count.
    """
    text = _NOT_STORABLE.sub("\ufffd", text[:MAX_COMMENT])
    if _MAYBE.search(text) is None:
        return []
    commands: list[Command] = []
    verbs: dict[str, bool] = {}
    for line in _lines(text):
        command = _command(line)
        if command is None:
            continue
        if command.verb not in verbs and len(verbs) < MAX_VERBS:
            verbs[command.verb] = is_verb(command.verb)
        if verbs.get(command.verb):
            commands.append(command)
        if len(commands) > MOST:
            break
    return commands


def _lines(text: str) -> Iterator[str]:
    """Each plain line of each top-level paragraph."""
    links: dict[str, Any] = {}  # link definitions, which may be at the end of the comment
    for opening, content in pairwise(_BLOCKS.parse(text, links)):
        if opening.type == "paragraph_open" and opening.level == 0 and "/" in content.content:
            (inline,) = _INLINE.parseInline(content.content[:MAX_PARAGRAPH], links)
            yield from _plain_lines(inline.children or ())


def _plain_lines(children: Sequence[Token]) -> Iterator[str]:
    """The lines of a paragraph that begin with text. In a line that begins like a command, later markup is dropped:
    the text of emphasis and links stays, HTML and pictures go."""
    parts: list[str] = []
    plain = True
    for child in children:
        words = "".join(parts)
        if child.type in ("softbreak", "hardbreak"):
            if plain:
                yield words
            parts, plain = [], True
        elif child.type in ("text", "text_special"):
            parts.append(child.content)
        elif not words.lstrip().startswith("/"):
            plain = False
        elif child.type == "code_inline" and "`" not in child.content:
            parts.append(f"`{child.content}`")
    if plain:
        yield "".join(parts)


def _command(line: str) -> Command | None:
    match = _VERB.fullmatch(line.strip()[:MAX_LINE])
    if match is None:
        return None
    return Command(match[1].lower(), tuple(_words(match[2] or "")), match[0])


def _words(text: str) -> Iterator[Word]:
    at = 0
    while (at := _skip_blanks(text, at)) < len(text):
        word, at = _word(text, at)
        yield word


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _word(text: str, at: int) -> tuple[Word, int]:
    """The word that begins at `at`, and its end. A quotation mark without a closing one is an ordinary character."""
    quoted = _quoted(text, at)
    if quoted is not None:
        return Word(quoted[0], quoted=True), quoted[1]
    end = at
    while end < len(text) and not text[end].isspace():
        if text[end] == "=" and re.fullmatch(r"[a-z][a-z_]{0,30}", text[at:end]) is not None:
            quoted = _quoted(text, end + 1)
            if quoted is not None:
                return Word(quoted[0], key=text[at:end], quoted=True), quoted[1]
        end += 1
    keyed = _KEY.fullmatch(text[at:end])
    return (Word(keyed[2], key=keyed[1]) if keyed else Word(text[at:end])), end


def _quoted(text: str, at: int) -> tuple[str, int] | None:
    """The text in quotes or backticks that open at `at`, and the end; None without a closing mark."""
    opening = text[at : at + 1]
    closing = "`" if opening == "`" else _QUOTES.get(opening)
    end = text.find(closing, at + 1) if closing else -1
    if end < 0 or (end + 1 < len(text) and not text[end + 1].isspace()):
        return None
    return text[at + 1 : end], end + 1
