"""What is said about flags: replies to commands, and the titles of discussions."""

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
    """The reply to a command about flags, whose `usage` and `example` are told where it was misunderstood."""
    models = listed(done.models)
    return Safe(render("commands/flag", done=done, models=models, usage=usage, example=example).strip())


def flag_title(models: Sequence[str], *, hides: bool) -> str:
    """The title of a discussion about these models, which is known as one by its beginning. The Hub takes 200
    characters."""
    begins = "[FLAG]" if hides else "Not evaluated here:"
    more = f" and {len(models) - 1} more" if len(models) > 1 else ""
    room = TITLE_LIMIT - len(begins) - len(more) - 1
    return f"{begins} {printable(models[0])[:room]}{more}"
