"""`steward self-check`: checks the installed packages themselves; needs no settings, no Redis and no Hub."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from steward.commands.board import AsJson
from steward.commands.doctor import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from steward.installation import InstallationCheck

BROKEN = 1


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command("self-check")(self_check)


def self_check(as_json: AsJson = False) -> None:
    """Check this installation: clashes with other packages, changed files, missing requirements. Exit status 1 if there
    is an error. Run it after an installation and after an upgrade; it needs no settings.
    """
    from steward.installation import check_installation

    checks = check_installation()
    if as_json:
        print(json.dumps({"checks": [vars(check) for check in checks]}))
    else:
        print(table(checks))
    raise typer.Exit(BROKEN if any(check.state == "error" for check in checks) else 0)


def table(checks: Iterable[InstallationCheck]) -> str:
    """Return the findings as lines for a terminal."""
    lines = []
    for check in checks:
        lines.append(f"{MARKS[check.state]:6} {check.name:13} {check.words}")
        if check.mend:
            lines.append(f"{'':20} → {check.mend}")
    return "\n".join(lines)
