"""Names that a command line shows before it loads pydantic: kinds and modes of effects, precisions, weight types.

`leaderboard.effects` holds the model of a board's effects.
"""

from __future__ import annotations

from enum import StrEnum

DEFAULT_PRECISION = "bfloat16"
"""The precision of a submission or a check that does not name one."""

PRECISION_ALIASES = {
    "fp16": "float16",
    "f16": "float16",
    "half": "float16",
    "bf16": "bfloat16",
    "fp32": "float32",
    "f32": "float32",
    "int8": "8bit",
    "8-bit": "8bit",
    "int4": "4bit",
    "4-bit": "4bit",
}
"""Other names that people use for a precision → its name."""
PRECISION_NAMES = ("float16", "bfloat16", "float32", "8bit", "4bit", "GPTQ")
"""Names of precisions that are recognised in any case."""
WEIGHT_TYPES = ("Original", "Delta", "Adapter")


_PRECISIONS = {**PRECISION_ALIASES, **{name.lower(): name for name in PRECISION_NAMES}}
_WEIGHT_TYPES = {name.lower(): name for name in WEIGHT_TYPES}


def precision_named(word: str) -> str:
    """Return the name of the precision that `word` means, an alias or another case; any other word is unchanged."""
    return _PRECISIONS.get(word.lower(), word)


def weight_type_named(word: str) -> str:
    """Return the name of the weight type that `word` means in any case; any other word is unchanged."""
    return _WEIGHT_TYPES.get(word.lower(), word)


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
    MODEL_PR = "model-pr"
    """A pull request with scores is opened, changed or closed on a model's own repo, which its owner asked for. This
    kind is off unless the board file names it."""


class EffectMode(StrEnum):
    """Whether effects of one kind happen."""

    OFF = "off"
    SHADOW = "shadow"
    ON = "on"
