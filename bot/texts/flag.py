"""What is said about flags: replies to commands."""

from __future__ import annotations

from collections.abc import Sequence

from bot.commands.call import say
from bot.texts.render import Safe, plain


def listed(models: Sequence[str]) -> Safe:
    """Names of models in a sentence: **a/b**, **c/d** and **e/f**."""
    names = [f"**{plain(model)}**" for model in models]
    return Safe(" and ".join(filter(None, (", ".join(names[:-1]), names[-1])))) if names else Safe("")


def reply(done: object, models: Sequence[str], *, usage: str, example: str) -> Safe:
    """The reply to a command about flags; `done` is a `bot.flagging.deciding.Decided`."""
    return say("flag", done=done, models=listed(models), usage=usage, example=example)
