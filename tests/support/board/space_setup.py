"""Runs `steward init --space` against a localhub, and records everything on the Hub."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from leaderboard import __version__
from localhub.testing import HubWorld, LocalHub
from steward.cli import app

ORG = ("--space", "--org", "fresh", "--maintainer", "maya")
"""The options of `steward init` for a new board."""
OWN = ("HF_ENDPOINT", "REDIS_URL", "REDIS_URL_FILE")
"""Settings that are removed from the environment, because the operator's terminal has none of them."""


def space_world(**more: Any) -> HubWorld:
    """A world in which a board can be created, with an organisation on a paid plan."""
    return (
        HubWorld(more)
        .user("bot")
        .user("maya")
        .user("eve")
        .org("fresh", {"bot": "admin", "maya": "admin"}, plan="team")
        .org("poor", {"bot": "write"})
        .org("fresh-details")
        .org("poor-details")
        .org("steward-suites")
        .datasets("steward-suites/starter")
    )


def wheel_in(folder: Path) -> Path:
    """Write a file that looks like a wheel of Steward: no Space of these tests installs it."""
    wheel = folder / f"steward_leaderboard-{__version__}-py3-none-any.whl"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr(zipfile.ZipInfo("leaderboard/__init__.py"), f'__version__ = "{__version__}"\n')
    wheel.write_bytes(data.getvalue())
    return wheel


@dataclass
class SpaceSetup:
    """One operator's folder and environment, and the Hub."""

    hub: LocalHub
    folder: Path
    environment: dict[str, str]

    @classmethod
    def of(cls, hub: LocalHub, folder: Path) -> SpaceSetup:
        """Return an operator with the bot's token and a wheel."""
        folder.mkdir(exist_ok=True)
        wheel_in(folder)
        environment = {
            "HF_ENDPOINT": hub.url,
            "STEWARD_BOARD": "board.yaml",
            "STEWARD_BOT_TOKEN": "hf_bot",
            "STEWARD_WEBHOOK_SECRET_FILE": "secrets/webhook",
            "STEWARD_MIRRORS": str(folder / "mirrors"),
        }
        return cls(hub, folder, environment)

    def init(self, *words: str, changes: Mapping[str, str | None] | None = None) -> Result:
        """Run `steward init` in the folder."""
        environment: dict[str, str | None] = {**dict.fromkeys(OWN), **self.environment, **(changes or {})}
        with contextlib.chdir(self.folder):
            return CliRunner().invoke(app, ["init", *words], env=environment)

    def wheel(self) -> tuple[str, str]:
        """The option that names the wheel."""
        return "--wheel", f"steward_leaderboard-{__version__}-py3-none-any.whl"

    def everything_stored(self) -> dict[str, object]:
        """Return everything on the Hub and in the folder: repos, settings, buckets, webhooks and local files."""
        state = self.hub.state
        repos = {}
        for repo in state.repos.all():
            head = repo.git.head()
            space = (state.spaces.settings(repo), state.spaces.environment(repo)) if repo.type == "space" else None
            repos[repo.type, repo.full_name] = (repo.oid, repo.private, head and repo.git.tree(head), space)
        hooks = {(hook.id, hook.url, hook.secret, hook.disabled) for hook in state.webhooks.all()}
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        local = {str(file.relative_to(self.folder)): file.read_bytes() for file in files}
        buckets = [tuple(row) for row in state.database.rows("SELECT key, private FROM buckets ORDER BY key", ())]
        return {"repos": repos, "webhooks": hooks, "buckets": buckets, "folder": local}

    def heads(self) -> dict[str, str | None]:
        """The head commit of every repo."""
        return {f"{repo.type} {repo.full_name}": repo.git.head() for repo in self.hub.state.repos.all()}
