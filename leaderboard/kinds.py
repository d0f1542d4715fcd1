"""The words for effects: which kinds there are, and how far each may go. What they mean: `leaderboard.effects`.

They stand apart from the model of them so that the command line knows its own words without loading pydantic.
"""

from __future__ import annotations

from enum import StrEnum


class Effect(StrEnum):
    """The kinds of effect that people on the Hub can see."""

    EDIT = "edit"
    """A file of a shared repo is changed or added: request, result, log."""
    COMMENT = "comment"
    """A comment is written in a thread that is there, or edited."""
    MENTION = "mention"
    """A text names a person so that the Hub tells them. Without it, the text says the name all the same."""
    NEW_THREAD = "new-thread"
    CLOSE = "close"
    """A thread is closed or opened again."""
    MERGE = "merge"
    RELAUNCH = "relaunch"
    """An attempt that failed, or was lost, by our fault is followed by another without anybody's asking."""
    PAUSE = "pause"
    """A worker, a suite or the whole queue is stopped because too much of it fails."""


class EffectMode(StrEnum):
    """Whether effects of one kind happen."""

    OFF = "off"
    SHADOW = "shadow"
    ON = "on"
