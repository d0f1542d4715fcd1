"""Which commands a comment holds: `/verb` alone on a line, with words and `key=value` after it.

    /relaunch org/model precision=bfloat16
    /hold reason="the authors asked for it"

A comment is Markdown, so it is read by a Markdown parser, and only a line of a plain paragraph can be a command. What
stands in code, in a quote, in a list, in a table's or a heading's line, in HTML, in an HTML comment or as the words of
a link is something that is spoken about. An argument may be put in backticks, as people do with a model's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

LONGEST = 65_536
"""Characters of a comment that are read, as many as the Hub takes."""
MOST = 5
"""Commands of one comment that are run."""
MOST_VERBS = 100
"""Different words behind a slash that are looked up for one comment; lines that begin with others are none of ours."""
LONGEST_LINE = 2_000
"""Characters of a line that are read: more than any verb takes, so that nobody's words are cut without being told."""

LONGEST_PARAGRAPH = 8_000
"""Characters of a paragraph in which commands are looked for: it can be written so that its markup takes a time that
grows with the square of its length, and is read whenever its thread is."""

_BLOCKS = MarkdownIt("commonmark").enable("table").disable("inline")
_INLINE = MarkdownIt("commonmark")
_MAYBE = re.compile(r"^[ ]{0,3}/[^\W\d_]", re.MULTILINE)
_NO_LETTERS = re.compile("[\0\ud800-\udfff]")
"""What JSON can hold and no file: what is written down of a command must be fit to be kept."""
_VERB = re.compile(r"/([^\W\d_][\w-]{0,39})[.,:;!?]{0,3}(?:\s+(.*))?", re.DOTALL)
_KEY = re.compile(r"([a-z][a-z_]{0,30})=(.*)", re.DOTALL)
_QUOTES = {'"': '"', "'": "'", "“": "”", "„": "“", "‘": "’"}


@dataclass(frozen=True)
class Word:
    """One argument: `key` where it was written as `key=value`; `quoted` where quotes or backticks held it together."""

    text: str
    key: str | None = None
    quoted: bool = False


@dataclass(frozen=True)
class Command:
    """A line that reads like a command. Whether there is such a verb, the registry knows; `verb` is in lower case."""

    verb: str
    words: tuple[Word, ...]
    line: str


def commands_in(text: str, is_verb: Callable[[str], bool] = lambda _: True) -> list[Command]:
    """The commands in a comment, in order: what begins like one, and has a word of which `is_verb` is true.

    Never raises, whatever `text` holds; at most MOST + 1 are looked for. Paths and words of other bots, of which logs
    are full, are passed over, and do not count.
    """
    text = _NO_LETTERS.sub("\ufffd", text[:LONGEST])
    if _MAYBE.search(text) is None:
        return []
    found: list[Command] = []
    verbs: dict[str, bool] = {}
    for line in _lines(text):
        command = _command(line)
        if command is None:
            continue
        if command.verb not in verbs and len(verbs) < MOST_VERBS:
            verbs[command.verb] = is_verb(command.verb)
        if verbs.get(command.verb):
            found.append(command)
        if len(found) > MOST:
            break
    return found


def _lines(text: str) -> Iterator[str]:
    """Each line of each paragraph that stands by itself, if it holds nothing but words."""
    links: dict[str, Any] = {}  # what they are called at the end of the comment
    for opening, content in pairwise(_BLOCKS.parse(text, links)):
        if opening.type == "paragraph_open" and opening.level == 0 and "/" in content.content:
            (inline,) = _INLINE.parseInline(content.content[:LONGEST_PARAGRAPH], links)
            yield from _plain_lines(inline.children or ())


def _plain_lines(children: Sequence[Token]) -> Iterator[str]:
    """The lines of a paragraph that begin with words. In one that begins like a command, markup after that is let go:
    of emphasis and links the words are kept, of HTML and pictures nothing."""
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
    found = _VERB.fullmatch(line.strip()[:LONGEST_LINE])
    if found is None:
        return None
    return Command(found[1].lower(), tuple(_words(found[2] or "")), found[0])


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
    """The word that begins at `at`, and where it ends. A quote that nobody closes is a letter like any other."""
    held = _held(text, at)
    if held is not None:
        return Word(held[0], quoted=True), held[1]
    end = at
    while end < len(text) and not text[end].isspace():
        if text[end] == "=" and re.fullmatch(r"[a-z][a-z_]{0,30}", text[at:end]) is not None:
            held = _held(text, end + 1)
            if held is not None:
                return Word(held[0], key=text[at:end], quoted=True), held[1]
        end += 1
    keyed = _KEY.fullmatch(text[at:end])
    return (Word(keyed[2], key=keyed[1]) if keyed else Word(text[at:end])), end


def _held(text: str, at: int) -> tuple[str, int] | None:
    """What quotes or backticks hold that open at `at`, and where it ends."""
    opening = text[at : at + 1]
    closing = "`" if opening == "`" else _QUOTES.get(opening)
    end = text.find(closing, at + 1) if closing else -1
    if end < 0 or (end + 1 < len(text) and not text[end + 1].isspace()):
        return None
    return text[at + 1 : end], end + 1
