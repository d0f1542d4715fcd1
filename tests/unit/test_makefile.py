"""The Makefile has a target for every test, a test is left out by its name, and `make` says which Python it needs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.long import long_except


def dry_run(project: Path, target: str) -> str:
    """The command by which a target runs pytest."""
    done = subprocess.run(["make", "--dry-run", target], cwd=project, capture_output=True, text=True, check=True)
    (command,) = re.findall(r"^.* -m pytest (.*)$", done.stdout, re.MULTILINE)
    return str(command)


def test_every_test_is_run_by_a_target(project: Path) -> None:
    """`make test` leaves out the marked tests alone; of these, `make long` ignores the files of `make chaos` alone."""
    assert '-m "not long"' in dry_run(project, "test") and "ignore" not in dry_run(project, "test")
    long, chaos = dry_run(project, "long"), dry_run(project, "chaos")
    assert "-m long" in long and "-m" not in chaos
    ignored = re.findall(r"--ignore=(tests/\S+)", long)
    assert ignored and ignored == re.findall(r"(?<!=)\btests/[\w./]+", chaos)
    assert [path for path in ignored if not (project / path).exists()] == []


def test_a_long_test_has_a_reason(project: Path) -> None:
    """Each mark `long` in the tests gives its reason in words."""
    bare = re.compile(r"pytest\.mark\.long(?!\(\s*f?[\"'][^\"]{10,})")
    files = [file for file in (project / "tests").rglob("test_*.py") if file != Path(__file__)]
    assert [str(file) for file in files if bare.search(file.read_text("utf-8"))] == []


def test_kept_cases_are_chosen_by_their_names() -> None:
    """`long_except` marks every case that is not named, and refuses a name that no case has."""
    cases = long_except({"a", "c"}, ["a", "b", "c"], "a reason")
    assert [(case.id, [mark.args for mark in case.marks]) for case in cases] == [
        ("a", []),
        ("b", [("a reason",)]),
        ("c", []),
    ]
    with pytest.raises(ValueError, match="no case has the name d"):
        long_except({"d"}, ["a"], "a reason")


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
