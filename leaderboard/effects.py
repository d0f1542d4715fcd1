"""The effects that the bot may have on a board: each kind is off, shadow or on.

    off      not done
    shadow   not done, but listed beside what people then did
    on       done

A board file sets one mode for all kinds, or a mode per kind; kinds that it does not name are in shadow. So the kinds
that a board file omits change nothing on the Hub. Pull requests on models' own repos (`model-pr`) are off unless the
board file names that kind, whatever mode the others have.

    effects: shadow
    effects: {edit: on, comment: on, merge: off, others: shadow}
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from leaderboard.options import Effect, EffectMode

__all__ = ["OTHERS", "Effect", "EffectMode", "Effects"]

OTHERS = "others"
"""In a board file: every kind that it does not name."""

_BY_STRENGTH = tuple(EffectMode)
_OFF_UNLESS_NAMED = {Effect.MODEL_PR: EffectMode.OFF}


class Effects(BaseModel):
    """The mode of each kind of effect on one board."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modes: Mapping[Effect, EffectMode] = Field(default_factory=lambda: _all(EffectMode.SHADOW))

    @model_validator(mode="before")
    @classmethod
    def _from_board_file(cls, setting: Any) -> Any:
        """Read one word, or one word per kind. YAML reads a bare `on` and `off` as true and false."""
        if isinstance(setting, Mapping) and set(setting) == {"modes"}:
            setting = setting["modes"]
        if not isinstance(setting, Mapping):
            if (word := _word(setting)) not in _BY_STRENGTH:
                raise ValueError(f"set {', '.join(EffectMode)} for all kinds, or one of them for each kind")
            return {"modes": _all(word)}
        others = _word(setting.get(OTHERS, EffectMode.SHADOW))
        named = {kind: _word(mode) for kind, mode in setting.items() if kind != OTHERS}
        return {"modes": {**_all(others), **named}}

    def mode(self, *kinds: Effect) -> EffectMode:
        """Return the mode of an effect that is of all of these kinds at once: the weakest of their modes."""
        return min((self.modes[kind] for kind in kinds), key=_BY_STRENGTH.index)


def _all(mode: Any) -> dict[Effect, Any]:
    """Return `mode` for each kind, except for those that are off unless they are named."""
    return {**dict.fromkeys(Effect, mode), **_OFF_UNLESS_NAMED}


def _word(setting: Any) -> Any:
    """Return the mode for a boolean, as which YAML reads a bare `on` or `off`; any other value is unchanged."""
    return {True: EffectMode.ON, False: EffectMode.OFF}[setting] if isinstance(setting, bool) else setting
