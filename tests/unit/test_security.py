"""Every claim in docs/security.md has a test."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LINK = re.compile(r"\[`(test_\w+)`\]\((\S+?)\)")


@pytest.fixture(scope="module")
def page(project: Path) -> str:
    """The text of docs/security.md."""
    return (project / "docs" / "security.md").read_text("utf-8")


def test_every_test_that_is_named_exists(page: str, project: Path) -> None:
    """Every test that the page links exists in the linked file."""
    links = LINK.findall(page)
    assert len(links) > 100
    missing = [
        f"{path}: {name}"
        for name, path in links
        if not re.search(rf"^\s*(?:async )?def {name}\(", (project / "docs" / path).read_text("utf-8"), re.MULTILINE)
    ]
    assert missing == []


def test_every_danger_is_held_by_a_test(page: str) -> None:
    """Each row in the tables of dangers links a test."""
    between = page.partition("## Boundaries")[2].partition("## What is trusted")[0]
    rows = [line for line in between.splitlines() if line.startswith("| ") and not line.startswith("| danger")]
    assert len(rows) > 40
    assert [row for row in rows if not LINK.search(row)] == []
