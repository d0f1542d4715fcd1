"""Output of commands. Untrusted text is printed without control characters that move a terminal's cursor."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.text import Text


def say(words: str) -> None:
    """Print `words`, line by line."""
    from bot.core.render import visible

    for line in words.splitlines():
        print(visible(line.expandtabs()))


def cell(words: object) -> Text:
    """Return `words` for a cell of a table, as text without markup."""
    from rich.text import Text

    from bot.core.render import visible

    return Text("\n".join(visible(line) for line in str(words).splitlines()))


def ending(words: object, status: int) -> typer.Exit:
    """Print the reason `words` for a failed command on standard error, and return the exception that ends it."""
    from bot.core.render import printable

    print(f"steward: {printable(words)}", file=sys.stderr)
    return typer.Exit(status)
