"""What the bot may do on a board: each kind of effect is off, shadow or on.

    off      not done
    shadow   not done, but listed: what it would have been, beside what people then did
    on       done

A board file says it in one word for all, or kind by kind; what it does not name is in shadow. So a board that says
nothing, or whose file has a kind too few, changes nothing on the Hub.

    effects: shadow
    effects: {edit: on, comment: on, merge: off, others: shadow}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from leaderboard.kinds import Effect, EffectMode

__all__ = ["OTHERS", "Effect", "EffectMode", "Effects"]

OTHERS = "others"
"""In a board file: every kind that is not named there."""

_BY_STRENGTH = tuple(EffectMode)


class Effects(BaseModel):
    """The mode of each kind, on one board."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modes: Mapping[Effect, EffectMode] = Field(default_factory=lambda: dict.fromkeys(Effect, EffectMode.SHADOW))

    @model_validator(mode="before")
    @classmethod
    def _from_board_file(cls, said: Any) -> Any:
        """One word, or words by kind. YAML reads a bare `on` and `off` as true and false."""
        if isinstance(said, Mapping) and set(said) == {"modes"}:
            said = said["modes"]
        if not isinstance(said, Mapping):
            if (word := _word(said)) not in _BY_STRENGTH:
                raise ValueError(f"say {', '.join(EffectMode)} for all kinds, or one of them for each kind")
            return {"modes": dict.fromkeys(Effect, word)}
        others = _word(said.get(OTHERS, EffectMode.SHADOW))
        named = {kind: _word(mode) for kind, mode in said.items() if kind != OTHERS}
        return {"modes": {**dict.fromkeys(Effect, others), **named}}

    def mode(self, *kinds: Effect) -> EffectMode:
        """Whether something happens that is of all of these kinds at once: the weakest of their modes."""
        return min((self.modes[kind] for kind in kinds), key=_BY_STRENGTH.index)


def _word(said: Any) -> Any:
    """What YAML made of a word, as that word again; anything else is for the validator to refuse."""
    return {True: EffectMode.ON, False: EffectMode.OFF}[said] if isinstance(said, bool) else said
