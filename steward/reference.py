"""The reference pages that are made from the code: commands and their options, settings, files and their fields.

python -m steward.reference docs      writes them anew into the folder `docs`
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from enum import EnumType
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from steward.reference_files import cell, files_page

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_settings import BaseSettings
    from typer.core import TyperGroup

CLI_HEAD = """# Reference: the command line

Every command, its arguments and its options, as `steward COMMAND --help` says them. Written by
`python -m steward.reference docs`.

What a command answers goes to standard output, and what is amiss to standard error. With `--json` the last line of
standard output is one JSON object; where nothing could be answered there is none, but a sentence on standard error.
Commands that only look need `REDIS_URL` and `STEWARD_BOARD`; those that ask the Hub or change anything need the bot's
token too ([settings](reference-settings.md)).

## Exit statuses

| status | what it means |
|---|---|
| 0 | done, or found; the model passes, the board is well |
| 1 | not done, or not found: the sentence says why. Also what `check`, `doctor`, `verify` and `logs` found wanting |
| 2 | nothing was tried: an argument or a setting is missing or wrong, or a service left it alone on the way |
| 3 | `work` alone: no child can run on this machine |
| 4 | the queue server did not answer at the start: the same command may do in a moment |
| 130 | ended by Ctrl-C |

Commands that run until they are stopped (`serve`, `sync`, `schedule`, `work`, `up`, `watch`) end with 0 when told so,
by Ctrl-C or, all but the last, by SIGTERM.

## Commands
"""

SETTINGS_HEAD = """# Reference: settings

Every process reads its settings once, when it starts, from the environment or from a file `.env` in the folder in which
it was started; the environment has the last word. Secrets may each come from a file instead, which other processes of
the account cannot read in `/proc`. What belongs to one leaderboard stands in its
[board file](reference-files.md#the-board-file). Written by `python -m steward.reference docs`.
"""

SETTINGS_FOOT = """## Others

| variable | what it is |
|---|---|
| `STEWARD_DATA` | `up`: folder of its queue server; `steward-data` if left out |
| `FORWARDED_ALLOW_IPS` | `serve`, behind a proxy: the proxy's address, whose word about who asks is believed |
| `HF_TOKEN` | `submit`: the token of whoever submits |
| `STEWARD_CLOCK` | for simulations: `epoch,rate`, as for [localhub](localhub.md#making-things-go-wrong) |
| `STEWARD_BEAT_SECONDS`, `STEWARD_CRASH_AT` | for tests of what dies: how often attempts beat; where to die |
"""


def cli_page() -> str:
    """The page of the command line."""
    from typer.core import TyperGroup
    from typer.main import get_command

    from steward.cli import app

    root = get_command(app)
    assert isinstance(root, TyperGroup)
    found = dict(_commands(root))
    listed = [f"| [`{name}`](#{_anchor(name)}) | {cell(_summary(command))} |" for name, command in found.items()]
    chapters = [line for name, command in found.items() for line in _command(name, command)]
    return "\n".join([CLI_HEAD, "| command | what it does |", "|---|---|", *listed, *chapters]).rstrip() + "\n"


def _commands(group: TyperGroup, before: str = "steward ") -> Iterator[tuple[str, Any]]:
    from typer.core import TyperGroup

    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _command(name: str, command: Any) -> Iterator[str]:
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    options = [param for param in command.params if param.param_type_name == "option"]
    words = " ".join(_placeholder(param) for param in arguments)
    kinds = get_type_hints(inspect.unwrap(command.callback))
    yield f"\n### {name}\n\n`{' '.join(filter(None, (name, words, '[OPTIONS]' if options else '')))}`\n"
    yield " ".join(command.help.split()) + "\n"
    if arguments or options:
        yield "| argument or option | what it is | if left out |\n|---|---|---|"
    for param in arguments:
        what, left_out = cell(param.help) + _choices(kinds[param.name]), "needed" if param.required else ""
        yield f"| `{_placeholder(param)}` | {what} | {left_out or _default(param)} |"
    for param in options:
        names = ", ".join(f"`{word}`" for word in (*param.opts, *param.secondary_opts))
        env = f" Or `{param.envvar}`." if isinstance(param.envvar, str) else ""
        left_out = "needed" if param.required else _default(param)
        yield f"| {names} | {cell(param.help or '')}{_choices(kinds[param.name])}{env} | {left_out} |"


def _choices(kind: Any) -> str:
    """What may be said, where only a few words are taken."""
    words: list[Any] = [one.value for one in kind] if isinstance(kind, EnumType) else []  # type: ignore[var-annotated]
    words += get_args(kind) if get_origin(kind) is Literal else ()
    return f" One of {', '.join(f'`{word}`' for word in words)}." if words else ""


def _placeholder(param: Any) -> str:
    name = (param.metavar or param.name.upper().replace("_", "-")) + ("…" if param.nargs == -1 else "")
    return name if param.required else f"[{name}]"


def _default(param: Any) -> str:
    value = param.default
    if callable(value) or value is None or value is False or value == "":
        return ""
    return f"`{getattr(value, 'value', value)}`" if value is not True else "yes"


def _summary(command: Any) -> str:
    return str(command.help).strip().partition("\n\n")[0].replace("\n", " ")


def _anchor(name: str) -> str:
    return name.replace(" ", "-")


def settings_page() -> str:
    """The page of settings."""
    from bot.core.settings import BotSettings
    from redis_state.settings import SharedSettings
    from workers.settings import WorkerSettings

    shared = set(SharedSettings.model_fields)
    tables = (
        ("Every process", SharedSettings, set(SharedSettings.model_fields)),
        ("Bot: `serve`, `sync`, `schedule`, `up`, and commands", BotSettings, set(BotSettings.model_fields) - shared),
        ("Worker: `work`, `verify`", WorkerSettings, set(WorkerSettings.model_fields) - shared),
    )
    parts = [SETTINGS_HEAD]
    for title, settings, names in tables:
        parts += [f"## {title}\n", "| variable | what it is | if left out |", "|---|---|---|"]
        parts += [_setting(name, settings) for name in settings.model_fields if name in names]
        parts.append("")
    parts.append(SETTINGS_FOOT)
    return "\n".join(parts).rstrip() + "\n"


def _setting(name: str, settings: type[BaseSettings]) -> str:
    field = settings.model_fields[name]
    variables = " or ".join(f"`{word}`" for word in _variables(name, field, settings))
    return f"| {variables} | {cell(field.description)} | {_left_out(field)} |"


def _variables(name: str, field: FieldInfo, settings: type[BaseSettings]) -> list[str]:
    from pydantic import AliasChoices

    if isinstance(field.validation_alias, AliasChoices):
        return [str(choice) for choice in field.validation_alias.choices]
    return [f"{settings.model_config.get('env_prefix', '')}{name}".upper()]


def _left_out(field: FieldInfo) -> str:
    from pydantic_core import PydanticUndefined

    if field.is_required():
        return "needed"
    value = field.default
    if value is PydanticUndefined or value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"`{','.join(map(str, value)) if isinstance(value, tuple) else value}`"


PAGES: dict[str, Callable[[], str]] = {
    "reference-cli.md": cli_page,
    "reference-files.md": files_page,
    "reference-settings.md": settings_page,
}


def main(folder: str) -> None:
    """Write the pages into `folder`."""
    for name, page in PAGES.items():
        (Path(folder) / name).write_text(page(), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
