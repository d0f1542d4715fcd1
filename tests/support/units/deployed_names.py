"""Names that files in `deploy` use: the systemd units, and the commands and environment variables of Steward."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import AliasChoices
from typer.main import get_command

from bot.core.settings import BotSettings
from steward.cli import app
from workers.settings import WorkerSettings

ROOT = Path(__file__).parents[3]
SYSTEMD = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "deploy" / "systemd").rglob("*.*") if path.is_file())


def commands() -> set[str]:
    """Every command of `steward`."""
    return set(get_command(app).commands)  # type: ignore[attr-defined]


@cache
def settings() -> frozenset[str]:
    """Every environment variable that the bot, workers or commands read."""
    names = set()
    for kind in (BotSettings, WorkerSettings):
        for name, field in kind.model_fields.items():
            alias = field.validation_alias
            names |= set(alias.choices) if isinstance(alias, AliasChoices) else {f"STEWARD_{name.upper()}"}
    for command in get_command(app).commands.values():  # type: ignore[attr-defined]
        names |= {option.envvar for option in command.params if isinstance(option.envvar, str)}
    return frozenset(map(str, names))
