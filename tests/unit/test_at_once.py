"""Who runs the tests reads of a failure while others still run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = """
from pathlib import Path
import pytest, time

def test_that_fails():
    assert "one thing" == "another"

@pytest.fixture
def broken():
    raise LookupError("no such thing")

def test_without_its_fixture(broken):
    pass

def test_that_lasts():
    while not Path("seen").exists():
        time.sleep(0.02)
"""
ALONE = {
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTEST_ADDOPTS": "",
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "PYTHONUNBUFFERED": "",  # as on most machines: what is written to a pipe waits until it is flushed
}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another pytest, which tests in a process of its own until there is a file `seen`."""
    (tmp_path / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]")
    command = [sys.executable, "-m", "pytest", "-p", "xdist", "-p", "tests.support.failure_reporter", "-n", "1"]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, **ALONE}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        yield process
        process.kill()


def test_failures_are_told_while_others_run(running: subprocess.Popen[str], tmp_path: Path) -> None:
    """Each with its test, its place and its words, once, before the last test ends."""
    assert running.stdout is not None
    told = []
    while not told or "no such thing" not in told[-1]:
        told.append(running.stdout.readline())
        assert told[-1], "".join(told)
    assert running.poll() is None
    (tmp_path / "seen").touch()
    after = running.stdout.read()
    said = "".join(told)
    assert "test_some.py::test_that_fails (call)" in said
    assert "test_some.py:6: AssertionError: assert 'one thing' == 'another'" in said
    assert "test_some.py::test_without_its_fixture (setup)" in said
    assert "1 failed, 1 passed, 1 error" in after
    assert "FAILED after" not in after


def test_a_file_that_cannot_be_imported_is_told(tmp_path: Path) -> None:
    """With the words of the import."""
    (tmp_path / "test_some.py").write_text("import no_such_module")
    (tmp_path / "pytest.ini").write_text("[pytest]")
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.failure_reporter"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **ALONE}, capture_output=True, text=True, timeout=60
    )
    begin, _, _ = done.stdout.partition("= ERRORS =")
    assert "test_some.py (import)" in begin
    assert "No module named 'no_such_module'" in begin
