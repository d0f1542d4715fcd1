"""Every link in the documents leads somewhere: the file is there, and so is the heading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

MARKDOWN = MarkdownIt("commonmark").enable("table")


def pages(project: Path) -> list[Path]:
    """README, and all documents."""
    return [project / "README.md", *sorted(project.glob("docs/**/*.md")), *sorted(project.glob("deploy/**/*.md"))]


def inlines(page: Path) -> Iterator[tuple[Token, bool]]:
    """Every piece of text of a page, and whether it is a heading."""
    tokens = MARKDOWN.parse(page.read_text("utf-8"))
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type == "inline":
            yield token, before is not None and before.type == "heading_open"


def targets(page: Path) -> Iterator[str]:
    """Where the links and pictures of a page lead."""
    for token, _ in inlines(page):
        for child in token.children or ():
            if found := child.attrGet("href") or child.attrGet("src"):
                yield str(found)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the Hub and other forges make them."""
    found: set[str] = set()
    for token, is_heading in inlines(page):
        if is_heading:
            words = "".join(child.content for child in token.children or () if child.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            number = next(n for n in range(100) if (slug if n == 0 else f"{slug}-{n}") not in found)
            found.add(slug if number == 0 else f"{slug}-{number}")
    return found


def test_every_link_leads_somewhere(project: Path) -> None:
    """Relative links name files of this project and headings that are there."""
    broken = []
    for page in pages(project):
        for target in targets(page):
            if re.match(r"[a-z][a-z+.-]*:", target):
                continue
            name, _, anchor = unquote(target).partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
                broken.append(f"{page.relative_to(project)}: {target}")
    assert broken == []


def test_every_document_is_in_the_index(project: Path) -> None:
    """docs/README.md leads to each page, so that none is written and never found."""
    index = project / "docs" / "README.md"
    listed = {unquote(target).partition("#")[0] for target in targets(index)}
    assert {page.name for page in project.glob("docs/*.md")} - listed - {"README.md"} == set()


@pytest.mark.parametrize(
    ("heading", "slug"),
    [("Where the Hub says nothing", "where-the-hub-says-nothing"), ("`up`, and *more*: 2", "up-and-more-2")],
)
def test_anchors_are_made_as_forges_make_them(tmp_path: Path, heading: str, slug: str) -> None:
    """Lower case, words joined, signs left out; the second of the same name has a number."""
    page = tmp_path / "page.md"
    page.write_text(f"# {heading}\n\n## {heading}\n", "utf-8")
    assert anchors(page) == {slug, f"{slug}-1"}
