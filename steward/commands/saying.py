"""What commands say at a shell: strangers wrote parts of it, and none of that moves the cursor of a terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.text import Text


def say(words: str) -> None:
    """Print `words`, on as many lines as they have."""
    from bot.core.render import visible

    for line in words.splitlines():
        print(visible(line.expandtabs()))


def cell(words: object) -> Text:
    """`words` in a table: as text, and never as markup."""
    from rich.text import Text

    from bot.core.render import visible

    return Text("\n".join(visible(line) for line in str(words).splitlines()))


def ending(words: object, status: int) -> typer.Exit:
    """The end of a command that did not do what was asked, to be raised: `words` say why, on standard error."""
    from bot.core.render import printable

    print(f"steward: {printable(words)}", file=sys.stderr)
    return typer.Exit(status)
