"""The Makefile has a target for every test that `make test` leaves out, and reports which Python it needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.sizes import one_in, sampled

SIZES = re.compile(r"^from tests\.support\.sizes import", re.MULTILINE)
WHOLE_TARGETS = ("chaos", "matrices", "engine")


def whole_runs(project: Path) -> dict[str, list[str]]:
    """Targets that run tests in full → the files and folders that they name."""
    runs = dict[str, list[str]]()
    for target in WHOLE_TARGETS:
        done = subprocess.run(["make", "--dry-run", target], cwd=project, capture_output=True, text=True, check=True)
        (recipe,) = re.findall(r"^.*STEWARD_WHOLE_MATRIX=1(?:.*\\\n)*.*$", done.stdout, re.MULTILINE)
        runs[target] = re.findall(r"tests/[\w./]+", recipe)
    return runs


def is_among(path: str, places: list[str]) -> bool:
    """Whether `path` is one of these files, or in one of these folders."""
    return any(f"{path}/".startswith(f"{place}/") for place in places)


def test_a_target_runs_the_whole_of_every_file_with_a_sample(project: Path) -> None:
    """Each file whose size depends on `STEWARD_WHOLE_MATRIX` is run in full by a target, and names it correctly."""
    targets = whole_runs(project)
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
    """`one_in(n)` keeps every nth test of a file, from its first one; a file without the mark runs completely."""

    def tests(name: str, mark: pytest.MarkDecorator | None) -> list[Any]:
        marker = mark and mark.mark
        return [SimpleNamespace(name=n, path=Path(name), get_closest_marker=lambda _: marker) for n in range(5)]

    items = [*tests("halves", one_in(2)), *tests("whole", None), *tests("thirds", one_in(3))]
    assert [item.name for item in sampled(items)] == [0, 2, 4, 0, 1, 2, 3, 4, 0, 3]


def test_a_python_that_is_too_old_is_refused_before_anything_is_installed(project: Path, tmp_path: Path) -> None:
    """With a Python that is too old, `make` names both versions and the next command, and creates no environment."""
    old = tmp_path / "old-python"
    old.write_text(
        f"#!/bin/sh\nexec {sys.executable} -c 'import sys; sys.version_info = (3, 10); exec(sys.argv[1])' \"$2\"\n"
    )
    old.chmod(0o755)
    (tmp_path / "pyproject.toml").touch()
    command = ["make", f"--file={project / 'Makefile'}", "demo", f"PYTHON={old}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stdout
    for words in ("needs Python 3.11 or newer, and", "is 3.10. Name a newer one: make demo PYTHON=python3.12"):
        assert words in done.stderr
    assert not (tmp_path / ".venv").exists()
