"""When one cause suddenly strikes many models, something of ours may have broken: a harness, a dataset, a machine.

The suspicion costs one run of a model that is known to work, the canary. Only if that dies too it is called ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from leaderboard.holds import Hold

WINDOW = 3600.0
"""Seconds back from now within which deaths count together."""
MODELS = 4
"""How many different models have to die of one cause."""
SHARE = 0.5
"""Which part of all models that ended within the window these have to be, at least."""
OF_ONE_MODEL = frozenset({"cancelled", "worker-lost", "canary-failed", "model-gone", "model-gated", "revision-gone"})
"""Causes that say nothing of the suite, however often they come."""
MAX_NAMED = 5
BY = "steward"
"""Whose pause it is, in the file of pauses."""


@dataclass(frozen=True)
class EndedAttempt:
    """How one attempt ended: `cause` is empty where it went well. `at` is in seconds since the epoch."""

    attempt: str
    model: str
    cause: str
    at: float


@dataclass(frozen=True)
class Outbreak:
    """One cause, and the models that it struck, in order of their deaths."""

    cause: str
    models: tuple[str, ...]

    @property
    def is_one(self) -> bool:
        """Whether it struck enough models: a worker's word alone is no outbreak."""
        return len(self.models) >= MODELS

    def reason(self, died_of: str) -> str:
        """Why the suite is paused, for everybody to read; `died_of` is what the canary died of."""
        named = ", ".join(self.models[:MAX_NAMED]) + (", …" if len(self.models) > MAX_NAMED else "")
        return (
            f"{len(self.models)} models died of {self.cause} within an hour ({named}), and so does a model that is "
            f"known to work: {died_of}. The fault is ours; these models can be relaunched when it is mended."
        )


def models_struck(
    ended: Iterable[EndedAttempt], cause: str, *, now: float, since: float = float("-inf"), window: float = WINDOW
) -> Outbreak:
    """The models that died of `cause` within the `window`, and after `since`."""
    deaths = (one for one in ended if one.cause == cause and now - window <= one.at <= now and one.at > since)
    return Outbreak(cause, tuple(dict.fromkeys(one.model for one in sorted(deaths, key=lambda one: one.at))))


def suspicion(
    ended: Iterable[EndedAttempt], *, now: float, cleared: Mapping[str, float] | None = None
) -> Outbreak | None:
    """The outbreak that `ended` looks like, the largest if several; None where it looks like none.

    `cleared`: cause → when the canary was asked about it last; what happened before that counts no more.
    """
    recent = [one for one in ended if now - WINDOW <= one.at <= now]
    enough = max(MODELS, SHARE * len({one.model for one in recent}))
    causes = {one.cause for one in recent} - OF_ONE_MODEL - {""}
    known = cleared or {}
    found = [models_struck(recent, cause, now=now, since=known.get(cause, float("-inf"))) for cause in sorted(causes)]
    return max((one for one in found if len(one.models) >= enough), key=lambda one: len(one.models), default=None)


def suites_paused_by_outbreak(pauses: Mapping[str, Hold]) -> dict[str, Hold]:
    """The suites that are paused because of an outbreak, by name, with the reason."""
    ours = ((what.partition(":"), hold) for what, hold in pauses.items() if hold.by == BY)
    return {name: hold for (kind, _, name), hold in ours if kind == "suite"}
