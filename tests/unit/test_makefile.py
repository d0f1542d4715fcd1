"""The Makefile has a target for every test that `make test` leaves out."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.sizes import one_in, sampled

SIZES = re.compile(r"^from tests\.support\.sizes import", re.MULTILINE)
TARGET = re.compile(r"^(\w+): setup\n((?:\t.*\n)+)", re.MULTILINE)


def whole_runs(project: Path) -> dict[str, list[str]]:
    """The targets that run tests in full → the files and folders that they name."""
    text = (project / "Makefile").read_text("utf-8")
    recipes = {name: recipe for name, recipe in TARGET.findall(text) if "STEWARD_WHOLE_MATRIX=1" in recipe}
    return {name: re.findall(r"tests/[\w./]+", recipe) for name, recipe in recipes.items()}


def is_among(path: str, places: list[str]) -> bool:
    """Whether one of these files and folders is the file, or holds it."""
    return any(f"{path}/".startswith(f"{place}/") for place in places)


def test_a_target_runs_the_whole_of_every_file_with_a_sample(project: Path) -> None:
    """Each file whose size depends on STEWARD_WHOLE_MATRIX is run in full by one of the targets that it names."""
    targets = whole_runs(project)
    assert {"chaos", "matrices", "engine"} <= set(targets)
    sampled = [file for file in (project / "tests").rglob("test_*.py") if SIZES.search(file.read_text("utf-8"))]
    assert len(sampled) > 40
    lost = list[str]()
    for file in sampled:
        path = str(file.relative_to(project))
        running = {name for name, places in targets.items() if is_among(path, places)}
        named = set(re.findall(r"`make (\w+)`", file.read_text("utf-8"))) & set(targets)
        if not running or (named and not named & running):
            lost.append(f"{path}: run by {running or 'no target'}, names {named}")
    assert lost == []


def test_of_a_marked_file_every_second_or_third_test_runs() -> None:
    """`one_in` counts within each file, from its first test, and a file without it runs whole."""

    def tests(name: str, mark: pytest.MarkDecorator | None) -> list[Any]:
        marker = mark and mark.mark
        return [SimpleNamespace(name=n, path=Path(name), get_closest_marker=lambda _: marker) for n in range(5)]

    items = [*tests("halves", one_in(2)), *tests("whole", None), *tests("thirds", one_in(3))]
    assert [item.name for item in sampled(items)] == [0, 2, 4, 0, 1, 2, 3, 4, 0, 3]
