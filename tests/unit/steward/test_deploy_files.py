"""Dockerfile, compose.yaml and the Space's front page, against the house that they pack."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from steward.cli import app


@pytest.fixture
def compose(project: Path) -> dict[str, dict[str, object]]:
    """The services of compose.yaml."""
    services: dict[str, dict[str, object]] = yaml.safe_load((project / "compose.yaml").read_text("utf-8"))["services"]
    return services


def commands() -> set[str]:
    """Every command of `steward`."""
    return set(get_command(app).commands)  # type: ignore[attr-defined]


def test_every_room_is_in_the_image(project: Path) -> None:
    """What pyproject packs is copied by the Dockerfile and let through by .dockerignore; the bot is built last."""
    packed = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]["find"]
    rooms = {name.removesuffix("*") for name in packed["include"]}
    dockerfile = (project / "Dockerfile").read_text("utf-8")
    assert set(re.findall(r"^COPY (\w+) \1$", dockerfile, re.MULTILINE)) == rooms
    assert rooms <= set(re.findall(r"^!(\w+)$", (project / ".dockerignore").read_text("utf-8"), re.MULTILINE))
    stages = re.findall(r"^FROM \S+ AS ([\w-]+)$", dockerfile, re.MULTILINE)
    assert {"bot", "worker"} <= set(stages)
    assert stages[-1] == "bot"  # what a Space builds
    assert dockerfile.count("USER 1000") == 2


def test_each_service_runs_a_command_that_exists_with_its_own_secret(compose: dict[str, dict[str, object]]) -> None:
    """Web, sync and worker hold one secret each; the queue server keeps what it was given and evicts nothing."""
    run = {name: service["command"] for name, service in compose.items() if name != "redis"}
    assert run == {"web": ["serve"], "sync": ["sync"], "worker": ["work"]}
    assert {word for words in run.values() for word in words} <= commands()  # type: ignore[attr-defined]
    held = {name: service["secrets"] for name, service in compose.items() if "secrets" in service}
    assert held == {"web": ["webhook-secret"], "sync": ["bot-token"], "worker": ["worker-token"]}
    assert " ".join(map(str, compose["redis"]["command"])).endswith("--maxmemory-policy noeviction")  # type: ignore[call-overload]
    assert "--appendonly yes" in " ".join(map(str, compose["redis"]["command"]))  # type: ignore[call-overload]


def test_a_spaces_front_page_names_the_port_that_the_image_serves(project: Path) -> None:
    """`app_port` is what the Space's proxy asks; the image's default has to be the same."""
    front = (project / "deploy" / "space" / "README.md").read_text("utf-8").split("---")[1]
    page = yaml.safe_load(front)
    assert page["sdk"] == "docker"
    assert f"STEWARD_PORT={page['app_port']}" in (project / "Dockerfile").read_text("utf-8")


@pytest.mark.parametrize("page", ["docs/deploying.md", "README.md"])
def test_every_steward_command_in_the_pages_exists(project: Path, page: str) -> None:
    """A command that is renamed takes the pages with it."""
    named = set(re.findall(r"(?:`|^|\| |; )steward ([a-z]+)", (project / page).read_text("utf-8"), re.MULTILINE))
    assert named
    assert named <= commands()
