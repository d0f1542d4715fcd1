"""Answers to commands, rendered from templates."""

from __future__ import annotations

from collections.abc import Callable

from bot.core.commands.model import Answer
from bot.core.render import Safe, render


def say(template: str, **words: object) -> Safe:
    """Render `texts/commands/{template}.md.j2`, which is in the folder of its slice, with `words`."""
    return Safe(render(f"commands/{template}", **words).strip())


def acting(act: Callable[[], Answer]) -> Answer:
    """The answer to a command that changes something."""
    return Answer(say("doing"), act)


def refusal(kind: str, **words: object) -> Answer:
    """The answer to a command that is not run, for one of the reasons in `trouble.md.j2`."""
    return Answer(say("trouble", kind=kind, **words), allowed=False, outcome="refused")
