"""`steward self-check` on the real files of both wheels, in a folder that comes first on Python's path."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import leaderboard
from tests.support.long import long_except

Breaking = Callable[[Path], object]
INFO = f"steward_leaderboard-{leaderboard.__version__}.dist-info"


@pytest.fixture
def site(wheels: tuple[Path, Path], tmp_path: Path) -> Path:
    """A folder of packages in which both wheels are installed."""
    for wheel in wheels:
        zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    return tmp_path / "site"


def run(*words: str, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run `steward WORDS` with these folders first on Python's path."""
    settings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONPATH": path}
    command = [sys.executable, "-P", "-m", "steward", *words]
    return subprocess.run(command, env=settings, capture_output=True, text=True)


def self_check(path: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status of `self-check`, and the checks with an error."""
    process = run("self-check", "--json", path=path)
    assert process.stdout, process.stderr
    checks = json.loads(process.stdout)["checks"]
    return process.returncode, [check for check in checks if check["state"] == "error"]


def install(site: Path, name: str, version: str, *files: str, top_level: str = "") -> None:
    """Install another distribution, whose files replace those of the same names."""
    info = site / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    if top_level:
        (info / "top_level.txt").write_text(top_level)
    for file in files:
        (site / file).parent.mkdir(exist_ok=True)
        (site / file).write_text("raise ImportError('another project')\n")


def require(site: Path) -> None:
    """Make Steward require a package that does not exist, and a version that no package has."""
    file = site / INFO / "METADATA"
    file.write_text(file.read_text().replace("\n", "\nRequires-Dist: no-such-package\nRequires-Dist: rich>=999\n", 1))


BROKEN: dict[str, tuple[Breaking, list[str]]] = {
    "another project's package": (
        lambda site: install(site, "hub", "3.0.1", "hub/__init__.py", "hub/api.py"),
        [
            "packages: hub 3.0.1 provides `hub`",
            "→ pip uninstall hub, then pip install --force-reinstall --no-deps steward-leaderboard",
            "files of steward-leaderboard are missing or changed: hub/__init__.py",
        ],
    ),
    "the former name of Steward": (
        lambda site: install(site, "steward", "0.1.0", top_level="bot\nhub\nleaderboard\nlocalhub\n"),
        ["packages: steward 0.1.0 provides `bot`, `hub`, `leaderboard`, `localhub`", "that is its former name"],
    ),
    "a missing template": (
        lambda site: (site / "bot" / "web" / "templates" / "queue.html").unlink(),
        ["files: 1 of", "bot/web/templates/queue.html", "steward-leaderboard==" + leaderboard.__version__],
    ),
    "a changed file of localhub": (
        lambda site: (site / "localhub" / "app.py").write_text(""),
        ["files: 1 of", "of localhub are missing or changed: localhub/app.py"],
    ),
    "missing requirements": (
        require,
        ["requirements: Required packages are missing or too old: no-such-package, rich", "(needed: >=999)"],
    ),
}


@pytest.mark.parametrize(
    "name",
    long_except({"another project's package", "missing requirements"}, BROKEN, "a copy of all packages each"),
)
def test_a_broken_installation_is_named_with_what_to_do(site: Path, name: str) -> None:
    """A broken installation gives exit status 1, and each problem with what to do."""
    breaking, expected = BROKEN[name]
    breaking(site)
    status, errors = self_check(str(site))
    words = "\n".join(f"{error['name']}: {error['words']}\n→ {error['mend']}" for error in errors)
    assert status == 1
    assert [text for text in expected if text not in words] == [], words


def test_a_complete_installation_passes(site: Path) -> None:
    """A complete installation passes, and so does the checkout itself."""
    assert self_check(str(site)) == (0, [])
    assert self_check("") == (0, [])


def test_a_folder_that_comes_first_on_the_path_is_named(site: Path, tmp_path: Path) -> None:
    """A folder `hub` in `PYTHONPATH` that hides Steward's package is reported."""
    (tmp_path / "first" / "hub").mkdir(parents=True)
    (tmp_path / "first" / "hub" / "__init__.py").write_text("")
    status, (error,) = self_check(f"{tmp_path / 'first'}:{site}")
    assert status == 1
    assert error["words"] == f"`hub` is loaded from {tmp_path / 'first' / 'hub'}, not from {site}."


def test_a_command_that_cannot_be_imported_says_why(site: Path) -> None:
    """If a command cannot be imported, it prints the failed import and the installation's errors, no traceback."""
    install(site, "leaderboard", "3.7.3", "leaderboard/__init__.py")
    process = run("status", path=str(site))
    assert process.returncode == 1
    assert process.stderr.startswith("steward: this installation is broken: another project\n")
    assert "leaderboard 3.7.3 provides `leaderboard`" in process.stderr
    assert "Traceback" not in process.stderr


def test_a_table_for_people(site: Path) -> None:
    """Without `--json`, each check is a line, followed by what to do."""
    install(site, "hub", "3.0.1", "hub/api.py")
    lines = run("self-check", path=str(site)).stdout.splitlines()
    assert lines[0].startswith(f"ok     version       steward-leaderboard {leaderboard.__version__} in {site}")
    assert lines[1].startswith("ERROR  packages      hub 3.0.1 provides `hub`")
    assert lines[2].strip().startswith("→ pip uninstall hub")
