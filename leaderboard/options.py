"""Words that a command line shows before it loads pydantic: kinds and modes of effects, and the default precision.

`leaderboard.effects` holds the model of a board's effects.
"""

from __future__ import annotations

from enum import StrEnum

DEFAULT_PRECISION = "bfloat16"
"""The precision of a submission, and of a check, that names none."""


class Effect(StrEnum):
    """The kinds of effect that people on the Hub can see."""

    EDIT = "edit"
    """A file of a shared repo is changed or added: request, result, log."""
    COMMENT = "comment"
    """A comment in an existing thread is written or edited."""
    MENTION = "mention"
    """A text mentions a person, so that the Hub notifies them. Without this effect the name is plain text."""
    NEW_THREAD = "new-thread"
    CLOSE = "close"
    """A thread is closed or opened again."""
    MERGE = "merge"
    RELAUNCH = "relaunch"
    """An attempt that failed, or was lost, through a fault of the service is followed by another automatically."""
    PAUSE = "pause"
    """A worker, a suite or the whole queue is stopped because too much of it fails."""


class EffectMode(StrEnum):
    """Whether effects of one kind happen."""

    OFF = "off"
    SHADOW = "shadow"
    ON = "on"
