"""Kill a process at each crash point: after a restart people see what they would have seen without it.

`make test` runs a sample of the matrix, `make chaos` all of it and prints it as a table.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from town import Town, open_town, wait_for

import bot
import workers
from wire.crashpoints import POINTS

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(240)]
WHOLE = bool(os.environ.get("STEWARD_WHOLE_MATRIX"))
BEAT = "1"
MODELS = ("good", "remote", "good-dies", "other")
BY_COMMAND = {"bot.adopting"}
"""Passed by commands of `steward`, not by a process that serves."""
WEB_MODULES = {"bot.inbox", "bot.webhooks", "bot.groupcommit", "bot.app"}


def kinds(module: str) -> list[str]:
    """The kinds of process that pass the points of `module`."""
    if module in BY_COMMAND:
        return []
    if module.startswith("workers."):
        return ["worker"]
    return ["web"] if module in WEB_MODULES else ["sync"]


def matrix() -> list[tuple[str, str]]:
    """(kind of process, crash point), for every point that the code declares."""
    for package in (bot, workers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" not in module.name and module.name not in ("workers.harness", "workers.zygote"):
                importlib.import_module(module.name)
    return sorted((kind, name) for name, module in POINTS.items() for kind in kinds(module))


CELLS = matrix()
SAMPLE = CELLS if WHOLE else CELLS[:: max(1, len(CELLS) // 5)]
TABLE: list[tuple[str, str, str]] = []


def play(folder: Path, *, kind: str = "", point: str = "") -> tuple[dict[str, Any], bool]:
    """The scenario, with one process armed; what people see in the end, and whether the process died on the way."""
    with open_town(folder) as town:
        for name in ("web", "sync", "worker"):
            armed = {"crash_at": point, "STEWARD_CRASH_NOTE": str(folder / "died")} if name == kind else {}
            town.start(name, STEWARD_BEAT_SECONDS=BEAT, **armed)
        wait_for(town.web_answers, words=town.words)
        town.submit(*MODELS)
        wait_until_it_ended_or_died(town, kind)
        if kind and town.died(kind):
            town.start(kind, STEWARD_BEAT_SECONDS=BEAT)
        wait_for(town.ended, seconds=120, words=town.words)
        return town.last_picture(), (folder / "died").exists()


def wait_until_it_ended_or_died(town: Town, kind: str) -> None:
    """Return when the armed process is gone, or all came to its end."""
    wait_for(lambda: (kind and town.died(kind)) or town.ended(), seconds=120, words=town.words)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What people see where nothing was killed."""
    seen, _ = play(tmp_path_factory.mktemp("undisturbed"))
    return seen


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Print the matrix when all of it has run."""
    yield
    for row in TABLE:
        print("{:8} {:55} {}".format(*row))


@pytest.mark.parametrize(("kind", "point"), SAMPLE)
def test_a_process_killed_at_any_point_changes_nothing_for_people(
    kind: str, point: str, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    """The run that was killed and restarted ends in the same files, statuses and comments as the run that was not."""
    seen, died = play(tmp_path, kind=kind, point=point)
    TABLE.append((kind, point, "killed, same end" if died else "not passed, same end"))
    assert died or not WHOLE, f"nobody passed {point!r}: the point, or the scenario, is stale"
    assert seen == undisturbed or tried_again(seen) == tried_again(undisturbed)


def tried_again(seen: dict[str, Any]) -> dict[str, Any]:
    """A picture without the numbers of attempts and what earlier ones left: a killed worker costs a try of ours."""
    text = json.dumps({name: value for name, value in seen.items() if not name.startswith("logs/")}, sort_keys=True)
    found: dict[str, Any] = json.loads(text.replace("ID-2", "ID-1"))
    for name, value in found.items():
        if name.startswith("requests/"):
            value["steward"].pop("attempt", None)
            value["steward"].pop("causes", None)
    return found
