"""Every link in the documents leads somewhere; every page is in the index, names its readers and has a next step."""

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


PARTS = ("Start", "Run", "Moderate", "Extend", "Understand", "Refer")


def pages(project: Path) -> list[Path]:
    """All documents."""
    return [
        *sorted(project.glob("*.md")),
        *sorted(project.glob("docs/**/*.md")),
        *sorted(project.glob("deploy/**/*.md")),
    ]


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
            if target := child.attrGet("href") or child.attrGet("src"):
                yield str(target)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the Hub and other forges make them."""
    slugs: set[str] = set()
    for token, is_heading in inlines(page):
        if is_heading:
            words = "".join(child.content for child in token.children or () if child.type in ("text", "code_inline"))
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            number = next(n for n in range(100) if (slug if n == 0 else f"{slug}-{n}") not in slugs)
            slugs.add(slug if number == 0 else f"{slug}-{number}")
    return slugs


def test_every_link_leads_somewhere(project: Path) -> None:
    """Relative links name files of this project and headings that exist."""
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


def parts(project: Path) -> dict[str, list[str]]:
    """The pages that each part of the index lists: the first link of each row of its tables."""
    chapters = re.split(r"^## ", (project / "docs" / "README.md").read_text("utf-8"), flags=re.MULTILINE)[1:]
    return {
        chapter.partition("\n")[0]: re.findall(r"^\|[^[\n]*\[[^]]+\]\(([\w-]+\.md)\)", chapter, re.M)
        for chapter in chapters
    }


def test_every_document_has_one_place_in_the_index(project: Path) -> None:
    """docs/README.md lists each page once, in one of its six parts."""
    listed = parts(project)
    assert tuple(listed) == PARTS
    names = sorted(name for part in listed.values() for name in part)
    assert names == sorted(page.name for page in project.glob("docs/*.md") if page.name != "README.md")


def test_every_document_says_first_for_whom_it_is(project: Path) -> None:
    """The first paragraph of every document begins with "For" and its readers."""
    first = {page.name: page.read_text("utf-8").split("\n\n")[1] for page in project.glob("docs/*.md")}
    assert [name for name, paragraph in first.items() if not paragraph.startswith("For ")] == []


def test_every_document_ends_with_a_next_step(project: Path) -> None:
    """Every document ends with next steps, except pages of reference and those that a test records."""
    listed = parts(project)
    recorded = {"conversations.md", "moderation-cases.md"}
    read = {name for part, names in listed.items() if part != "Refer" for name in names} - recorded
    lacking = []
    for name in sorted(read):
        text = (project / "docs" / name).read_text("utf-8")
        chapter = text.rpartition("\n## ")[2].partition("\n")[0].lower()
        if not text.rpartition("\n\n")[2].startswith("**Next:**") and not re.search(r"next steps|where to go", chapter):
            lacking.append(name)
    assert lacking == []


@pytest.mark.parametrize(
    ("heading", "slug"),
    [("Where the Hub says nothing", "where-the-hub-says-nothing"), ("`up`, and *more*: 2", "up-and-more-2")],
)
def test_anchors_are_made_as_forges_make_them(tmp_path: Path, heading: str, slug: str) -> None:
    """An anchor is in lower case, with hyphens and without punctuation; a second one of the same name has a number."""
    page = tmp_path / "page.md"
    page.write_text(f"# {heading}\n\n## {heading}\n", "utf-8")
    assert anchors(page) == {slug, f"{slug}-1"}
