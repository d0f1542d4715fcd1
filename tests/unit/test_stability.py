"""The names that docs/stability.md promises still exist, or their removal was announced."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support import stable_interface
from tests.support.stable_interface import FLAT, PAGES, missing, names_of_pages, recorded


def test_every_promised_name_of_the_pages_is_one() -> None:
    """Every recorded command, option, setting, field, path, cause and reason still exists."""
    assert missing(names_of_pages(), server=False) == []


def test_every_page_has_promised_names() -> None:
    """Every reference page gives promised names; a changed format in which none is found would be noticed."""
    names = names_of_pages()
    for page in PAGES:
        assert sum(len(promised) for chapter, promised in names.items() if chapter.startswith(page)) > 15, page
    assert {"STEWARD_BOARD", "REDIS_URL"} <= set(names["reference-settings.md: "])
    assert {"--apply", "--org"} <= set(names["reference-cli.md: steward init"])
    assert "attempt" in names["reference-files.md: A request, steward"]
    assert all(f"{page}: " in names for page in FLAT)


def test_the_supported_versions_are_those_of_the_packages(project: Path) -> None:
    """docs/stability.md lists the same version bounds as pyproject.toml."""
    page, packages = (
        (project / "docs/stability.md").read_text("utf-8"),
        tomllib.loads((project / "pyproject.toml").read_text()),
    )
    needed = [*packages["project"]["dependencies"], *packages["project"]["optional-dependencies"]["worker"]]
    for row in re.findall(r"^\| ([\w-]+) \| ([\d.]+) and newer, below ([\d.]+) \|$", page, re.MULTILINE):
        name, lowest, below = row
        bounds = [need.rpartition(">=")[2] for need in needed if re.match(rf"{re.escape(name)}\b", need)]
        assert bounds == [f"{lowest},<{below}"], row
    assert f"| Python | {packages['project']['requires-python'].removeprefix('>=')} and newer;" in page


def test_a_removed_name_is_found_unless_it_was_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A removed field or command is reported, unless `deprecated` announces it."""
    names = names_of_pages()
    names["reference-files.md: The suite file"] = [
        name for name in names["reference-files.md: The suite file"] if name != "engine"
    ]
    del names["reference-cli.md: steward why"]
    removed = ["reference-cli.md: steward why: all of it", "reference-files.md: The suite file: engine"]
    assert sorted(missing(names, server=False)) == removed
    announced = {"reference-cli.md: steward why: ": "1.1", "reference-files.md: The suite file: engine": "1.1"}
    monkeypatch.setattr(stable_interface, "recorded", lambda: {**recorded(), "deprecated": announced})
    assert missing(names, server=False) == []
