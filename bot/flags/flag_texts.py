"""Texts about flags: replies to commands, and titles of discussions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bot.core.render import Safe, plain, printable, render
from bot.request_files.status_text import TITLE_LIMIT

if TYPE_CHECKING:
    from bot.flags.flag_commands import FlagResult


def listed(models: Sequence[str]) -> Safe:
    """Names of models in a sentence: **a/b**, **c/d** and **e/f**."""
    names = [f"**{plain(model)}**" for model in models]
    return Safe(" and ".join(filter(None, (", ".join(names[:-1]), names[-1])))) if names else Safe("")


def reply(done: FlagResult, *, usage: str, example: str) -> Safe:
    """The reply to a command about flags; it shows `usage` and `example` where the command lacks something."""
    models = listed(done.models)
    return Safe(render("commands/flag", done=done, models=models, usage=usage, example=example).strip())


def flag_title(models: Sequence[str], *, hides: bool) -> str:
    """The title of a discussion about these models, within the Hub's limit. `triage` recognises it by its prefix."""
    prefix = "[FLAG]" if hides else "Not evaluated here:"
    suffix = f" and {len(models) - 1} more" if len(models) > 1 else ""
    available = TITLE_LIMIT - len(prefix) - len(suffix) - 1
    return f"{prefix} {printable(models[0])[:available]}{suffix}"
