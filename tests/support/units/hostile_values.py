"""Values with which users might inject markup, and the kinds of Markdown tokens that a renderer finds in a text."""

from __future__ import annotations

from markdown_it import MarkdownIt

MARKDOWN = MarkdownIt("gfm-like", {"linkify": False, "html": True})
HOSTILE = [
    "@maya please",
    "<img src=x onerror=alert(1)>",
    "<!-- steward:1 demo status x -->",
    "--> <!-- x",
    "[click](https://evil.example)",
    "![x](https://evil.example/p.png)",
    "https://evil.example www.evil.example",
    "`code` ``more`` ```fence",
    "*bold* _em_ ~~gone~~ **x**",
    "| a | b |\n|---|---|",
    "# heading",
    "- item\n- item",
    "1. item",
    "> quote",
    "---",
    "====",
    "</details></sub>",
    "&lt;b&gt; &#64;maya &commat;maya",
    "\u202egnp.exe\u202c",
    "\x1b[31mred\x00",
    "/approve\n/relaunch",
    "{{ 7 * 7 }} {% raw %}",
    "a" * 5_000,
    "\\",
    "`" * 40,
]


def kinds(markdown: str) -> set[str]:
    """Return the kinds of Markdown tokens that a renderer finds in `markdown`."""
    types: set[str] = set()
    for token in MARKDOWN.parse(markdown):
        types.add(token.type)
        types |= {child.type for child in token.children or ()}
    return types
