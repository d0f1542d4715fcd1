"""Both wheels in fresh virtual environments, without a checkout: `make wheels` builds them and runs this.

It needs the package index, for the requirements (torch among them) and for the demo's model.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from steward.testing.waiting import wait_until
from steward.valkey import free_port
from tests.support.previous_version import unpack

WHEELS = os.environ.get("STEWARD_WHEELS", "")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not WHEELS, reason="STEWARD_WHEELS names no folder: `make wheels` builds the wheels and does"),
]
PASSED_ON = ("PATH", "LANG", "TMPDIR")


@dataclass
class Environment:
    """A fresh virtual environment, a home and an empty working folder."""

    folder: Path

    def run(self, program: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment in the empty folder, with few variables."""
        return subprocess.run(
            [self.folder / "venv" / "bin" / program, *words],
            env=self.variables(),
            cwd=self.folder / "empty",
            capture_output=True,
            text=True,
        )

    def variables(self) -> dict[str, str]:
        """The environment variables of its processes: pip's settings, and none of this checkout."""
        passed_on = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("PIP_")}
        return passed_on | {"HOME": str(self.folder / "home")}

    def pip(self, *words: str) -> None:
        """Run pip; fail with its output."""
        process = self.run("python", "-m", "pip", *words)
        assert process.returncode == 0, process.stdout + process.stderr

    def self_check(self) -> tuple[int, list[dict[str, Any]]]:
        """The exit status of `steward self-check`, and its findings."""
        process = self.run("steward", "self-check", "--json")
        assert process.stdout, process.stderr
        return process.returncode, json.loads(process.stdout)["checks"]

    def errors(self, *names: str) -> list[dict[str, Any]]:
        """The errors of `steward self-check` that have these names."""
        return [check for check in self.self_check()[1] if check["state"] == "error" and check["name"] in names]


def fresh(folder: Path) -> Environment:
    """Make a virtual environment, with an empty home and an empty working folder."""
    for name in ("home", "empty"):
        (folder / name).mkdir()
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    return Environment(folder)


def wheel(project: Path, name: str) -> Path:
    """The wheel of a distribution."""
    (path,) = (project / WHEELS).glob(f"{name}-*.whl")
    return path


@pytest.fixture(scope="module")
def installed(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with Steward and all that the demo needs."""
    environment = fresh(tmp_path_factory.mktemp("demo"))
    environment.pip(
        "install", "--no-compile", f"{wheel(project, 'steward_leaderboard')}[demo]", str(wheel(project, "localhub"))
    )
    return environment


def test_an_installation_from_wheels_passes_the_self_check(installed: Environment) -> None:
    """`steward self-check` finds the installed wheels and all extras of the demo, and no error."""
    status, checks = installed.self_check()
    assert status == 0, checks
    assert {check["state"] for check in checks} == {"ok"}
    assert str(installed.folder) in checks[0]["words"]
    assert {check["name"]: check["mend"] for check in checks if check["name"].startswith("[")} == dict.fromkeys(
        ("[contents]", "[worker]", "[localhub]", "[demo]"), ""
    )


def test_the_demo_works_without_a_checkout(installed: Environment) -> None:
    """The demo fetches its model and evaluates it, and its three other submissions fail as intended."""
    process = installed.run("steward", "demo", "--headless", "--json")
    print(process.stderr)
    assert process.returncode == 0, process.stdout + process.stderr
    requests = json.loads(process.stdout.splitlines()[-1])["requests"]
    assert sorted(request["status"] for request in requests) == ["FAILED", "FAILED", "FAILED", "FINISHED"]
    assert all(request["right"] for request in requests)
    assert "Fetching the demo's model" in process.stderr


def test_localhub_works_alone(project: Path, tmp_path: Path) -> None:
    """The wheel of localhub installs all that it imports, and the server answers."""
    environment = fresh(tmp_path)
    environment.pip("install", "--no-compile", str(wheel(project, "localhub")))
    port = free_port()
    python = environment.folder / "venv" / "bin" / "python"
    command = [python, "-m", "localhub", "--port", str(port), "--data", str(tmp_path / "data")]
    with subprocess.Popen(
        command, env=environment.variables(), cwd=tmp_path / "empty", stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["url"] == f"http://127.0.0.1:{port}"
            for path in ("/api/models", "/"):
                with urlopen(f"http://127.0.0.1:{port}{path}") as answer:
                    assert answer.status == 200
        finally:
            process.terminate()
    wait_until(lambda: process.poll() is not None)


def test_an_upgrade_from_the_former_name(project: Path, tmp_path: Path) -> None:
    """`self-check` reports an installation over the previous version, and its advice repairs it."""
    before = unpack(project, tmp_path / "before")
    environment, steward = fresh(tmp_path), str(wheel(project, "steward_leaderboard"))
    # The other requirements are not needed here; that they are missing is an error of its own.
    environment.pip("install", "--no-compile", "--quiet", "typer", "packaging", "rich")
    environment.pip("install", "--no-compile", "--no-deps", str(before))
    environment.pip("install", "--no-compile", "--no-deps", steward)
    (clash,) = environment.errors("packages")
    assert "its former name" in clash["words"]
    assert clash["mend"].startswith("pip uninstall steward, then pip install --force-reinstall --no-deps")
    environment.pip("uninstall", "--yes", "steward")
    environment.pip("install", "--no-compile", "--force-reinstall", "--no-deps", steward)
    assert environment.errors("packages", "folder", "files") == []
