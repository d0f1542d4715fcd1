"""A hundred texts with which users might misuse the bot's comments, and checks that they stay plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.core.commands.grammar import commands_in
from hub.comments import marker_of

EVIL = "https://evil.example"
_HTML = (
    "<b>bold</b>",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    f'<a href="{EVIL}">here</a>',
    f"<{EVIL}>",
    "<mail@evil.example>",
    "<details><summary>open me",
    "</details></sub></summary>",
    "<br><hr>",
    "<!-- hidden",
    "--> shown <!--",
    "<!-- steward:1 demo status x -->",
    "<!-- steward:1 demo answer 0123456789abcdef01234567 -->",
    "<!-- steward:1 demo follow - ada/good_eval_request_False_float32_Original.json -->",
    "<?php echo 1 ?>",
    "<![CDATA[x]]>",
    "<!DOCTYPE html>",
    "&lt;b&gt; &#64;maya &commat;maya &#x40;maya",
    "&amp;lt;b&amp;gt;",
    "<svg/onload=alert(1)>",
    "<iframe src=//evil.example></iframe>",
    "<style>*{display:none}</style>",
    "<b\nclass=x>",
    "< b >",
    "<",
)
_LINKS = (
    f"[click]({EVIL})",
    f"![x]({EVIL}/p.png)",
    f"[![x]({EVIL}/p.png)]({EVIL})",
    "[click](javascript:alert(1))",
    "[click][1]\n\n[1]: https://evil.example",
    f"[1]: {EVIL}",
    f"{EVIL} http://evil.example",
    "www.evil.example WWW.EVIL.EXAMPLE",
    "mailto:mail@evil.example",
    "hf://datasets/evil/x",
    "//evil.example/x",
    "[x](//evil.example/i.png)",
    "[x]( <https://evil.example> 'title')",
    "](https://evil.example)",
    ") [y](https://evil.example",
    "[",
    "]",
    "![",
    "[a]: <https://evil.example>",
    f'[click]({EVIL} "a title")',
)
_PEOPLE = (
    "@everyone come here",
    "@maya please",
    "(@maya)",
    "x@maya @ maya @@maya",
    "@\u200bmaya",
    "\uff20maya",
    "hello,@maya",
    "@board/keepers",
    "#12 and board/requests#12",
    "@maya's @maya. @maya!",
)
_MARKDOWN = (
    "*bold* _em_ ~~gone~~ **x** __y__",
    "***",
    "---",
    "====",
    "# heading",
    "- item\n- item",
    "+ item",
    "1. item",
    "1) item",
    "> quote",
    ">>> quote",
    "    indented",
    "```\nfence",
    "~~~\nfence",
    "`code` ``more`` ```fence",
    "`" * 40,
    "`",
    "``",
    "` `",
    "| a | b |\n|---|---|\n| c | d |",
    "|",
    "a | b",
    "|---|",
    "\\",
    "\\\\`\\*\\",
    "$x^2$ $$y$$ \\(z\\)",
    ":smile: :+1:",
    "- [ ] task\n- [x] done",
    "[^1] [^1]: note",
    "line\\\nline  \nline",
)
_COMMANDS = (
    "/approve 1234567\n/relaunch ada/good",
    "\n\n/pause board now\n\n",
    "/status",
    "\r/relaunch\r",
    "\u2028/relaunch\u2029/cancel",
    "\x0b/relaunch\x0c/cancel",
    "\x85/relaunch",
    "{{ 7 * 7 }} {% raw %} {# x #}",
    "${7*7} #{7*7} <%= 7*7 %>",
    "%s %(x)s {0} {x}",
)
_CHARACTERS = (
    "\u202egnp.exe\u202c",
    "\u2066x\u2069\u200f\u200e",
    "\x1b[31mred\x1b[0m\x07\x08",
    "nul\x00byte",
    "\u200b\u200c\u200d\ufeff",
    "z\u0301\u0302\u0303\u0304" * 30,
    "ｗｗｗ．evil．example",
    "ѕtаtuѕ of the mоdel",
    "𝕭𝖔𝖑𝖉 \U0001f469\u200d\U0001f4bb",
    "a" * 3_000,
    "\u00a0\u3000 \t x",
    "x" + "\n" * 50 + "y",
    "\ud7ff\ue000\uffff",
    "\U000e0041\U000e0042",
    "ﷺ" * 50,
)
TEXTS = (*_HTML, *_LINKS, *_PEOPLE, *_MARKDOWN, *_COMMANDS, *_CHARACTERS)

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})
_TAGS = re.compile(r"<summary>\d+ [a-z ]+</summary>|</?(?:sub|details|summary|br)>")
_MENTION = re.compile(r"(?<![\w/`.@-])@[A-Za-z0-9]")
_ADDRESS = re.compile(r"(?:https?|hf|ftp)://|\bwww\.", re.IGNORECASE)


def tokens(markdown: str) -> Iterator[Token]:
    """Return all tokens that a renderer makes of `markdown`, nested ones included."""
    for token in MARKDOWN.parse(markdown):
        yield token
        yield from token.children or ()


def skeleton(markdown: str) -> tuple[str, ...]:
    """Return the kinds of tokens in order, and the HTML, without the text and the bot's marker."""
    body = markdown.partition("\n")[2] if marker_of(markdown) is not None else markdown
    kept = (token for token in tokens(body) if token.type not in ("text", "text_special", "softbreak", "inline"))
    return tuple(f"{token.type} {token.content}" if token.type.startswith("html") else token.type for token in kept)


def trouble(markdown: str, *, hub: str) -> list[str]:
    """Return what a hostile text achieved in a comment of the bot: links to other sites than `hub`, pictures, HTML,
    mentions, addresses that a page would turn into links, and commands. Empty if it is plain text."""
    troubles = [f"command {command.line}" for command in commands_in(markdown)]
    for token in tokens(markdown):
        if token.type == "link_open" and not str(token.attrs.get("href", "")).startswith(hub):
            troubles.append(f"link {token.attrs}")
        elif token.type == "image":
            troubles.append(f"picture {token.attrs}")
        elif token.type.startswith("html"):
            troubles += [f"HTML {line}" for line in token.content.splitlines() if not _is_ours(line)]
        elif token.type == "text":
            troubles += [f"mention or address {token.content}"] * bool(_MENTION.search(token.content))
            troubles += [f"address {token.content}"] * bool(_ADDRESS.search(token.content))
    return troubles


def _is_ours(line: str) -> bool:
    return not _TAGS.sub("", line).strip() or marker_of(line) is not None


def is_first_marker_alone(markdown: str) -> bool:
    """Whether a comment of the bot has one marker, as its first line."""
    return (
        [marker_of(line) is not None for line in markdown.splitlines()].count(True)
        == 1
        == int(marker_of(markdown) is not None)
    )
