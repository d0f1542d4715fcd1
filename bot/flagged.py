"""Where a desk learns of flags on models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from leaderboard.admission.facts import Earlier


class Flags(Protocol):
    """Where flags are recorded."""

    def __call__(self, models: Sequence[str], weights: str, /) -> tuple[Earlier, ...]:
        """The flags that hold for one of `models`, in any case, or for weights of this digest ("": not known)."""


def no_flags(_models: Sequence[str], _weights: str, /) -> tuple[Earlier, ...]:
    """Nobody has recorded a flag."""
    return ()
