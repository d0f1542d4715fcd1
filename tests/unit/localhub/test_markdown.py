"""Untrusted comments as HTML: visible text, hidden comments, and no active content."""

import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localhub.markdown import PLAIN_TAGS, render, without_front_matter

_MADE_HERE = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "s"),
    *("a", "table", "thead", "tbody", "tr", "th", "td", "hr", "br"),
}
_ATTRIBUTES = {"href", "rel", "title", "class", "start", "style"}


class _Reader(HTMLParser):
    """Collects the elements that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags_of(text: str) -> list[tuple[str, dict[str, str | None]]]:
    """The elements that rendering `text` makes."""
    reader = _Reader()
    reader.feed(str(render(text)))
    return reader.tags


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a <b onclick='x'>b</b> <iframe src='//e'></iframe>",
        "<details open ontoggle=alert(1)>x</details>",
        "[x](javascript:alert(1)) <javascript:alert(1)>",
        "[x](&#106;avascript:alert(1)) [y](data:text/html,x) [z](vbscript:x)",
        "![x](javascript:alert(1)) ![y](https://e/x.png)",
        "[x](//evil.example) [y](\\\\evil.example)",
        '[x](https://e "\' onmouseover=alert(1)")',
        "<a href='https://e'>x</a>",
        "<!--><script>alert(1)</script>-->",
        "```html\n<script>alert(1)</script>\n```",
    ],
)
def test_untrusted_markdown_has_no_active_content(text: str) -> None:
    """Rendered text of untrusted users has only known elements and attributes, and no links that run code."""
    for tag, attributes in tags_of(text):
        assert tag in _MADE_HERE | PLAIN_TAGS
        assert set(attributes) <= _ATTRIBUTES
        href = attributes.get("href") or ""
        assert urlsplit(href).scheme in ("", "http", "https", "mailto")
        assert not href.startswith(("//", "/\\", "\\"))


_PIECES = st.sampled_from(
    [
        "<",
        ">",
        "<!--",
        "-->",
        "<details>",
        "</summary>",
        "<script>",
        "](javascript:",
        "[a](",
        ")",
        "`",
        "@ada",
        "|",
        "\n",
        "*",
        "&",
        '"',
        "https://e/x",
    ]
)


@given(st.lists(_PIECES | st.text(max_size=5), max_size=25))
def test_no_input_makes_a_foreign_element(pieces: list[str]) -> None:
    """No input is rendered as an unknown element, or with an unknown attribute, such as an event handler."""
    for tag, attributes in tags_of("".join(pieces)):
        assert tag in _MADE_HERE | PLAIN_TAGS
        assert set(attributes) <= _ATTRIBUTES


def test_html_comments_are_hidden() -> None:
    """HTML comments, such as markers of bots, are not rendered, even if unclosed, except in code."""
    assert "steward" not in render("<!-- steward:1 board status x -->\nHello <!-- steward --> there")
    assert "steward" not in render("<!-- steward")
    assert "steward" in render("`<!-- steward -->`")


def test_folded_parts_are_kept() -> None:
    """`<details>` with a summary is kept, and Markdown inside it is rendered."""
    html = render("<details><summary>Log</summary>\n\n```\nboom\n```\n\n</details>")
    assert "<details><summary>Log</summary>" in html and "<code>boom" in html and "</details>" in html


def test_names_and_addresses_become_links() -> None:
    """`@name` and a bare address are links, but neither in code nor in another link nor in an e-mail address."""
    html = render("Hi @ada, see https://e.org/a_b.html. Mail x@bob.org, `@code`, [at @cleo](/x)")
    assert re.findall(r'href="([^"]+)"', html) == ["/ada", "https://e.org/a_b.html", "/x"]


def test_tables_and_tasks() -> None:
    """Markdown tables are rendered as tables, and task lists with check boxes."""
    assert "<td>1</td>" in render("|a|b|\n|-|-|\n|1|2|")
    assert "☑ done" in render("- [x] done\n- [ ] open") and "☐ open" in render("- [x] done\n- [ ] open")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("---\na: b\n---\n# T", "# T"), ("# T\n---\n", "# T\n---\n"), ("---\nno end", "---\nno end"), ("", "")],
)
def test_front_matter_is_left_out(text: str, expected: str) -> None:
    """A card's YAML block is not part of its text."""
    assert without_front_matter(text) == expected
