"""Detects outbreaks: one cause that fails many models at once may be a broken harness, dataset or machine.

A suspected outbreak triggers one run of the canary, a model that is known to work. Only if the canary fails too, the
fault is the service's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from leaderboard.holds import Hold

WINDOW_SECONDS = 3600.0
"""Failures within this time count together."""
MIN_MODELS = 4
"""Different models that must fail with one cause."""
MIN_SHARE = 0.5
"""Share of these models among all models whose attempts ended within the window."""
UNRELATED_CAUSES = frozenset({
    "cancelled", "worker-lost", "canary-failed", "model-gone", "model-gated", "revision-gone",
})  # fmt: skip
"""Causes that never point to a broken suite."""
MAX_NAMED = 5
"""Models that the reason of a pause names."""
BY = "steward"
"""The author of these pauses in the file of pauses."""


@dataclass(frozen=True)
class EndedAttempt:
    """The end of one attempt: `cause` is empty after a success. `at` is in seconds since the epoch."""

    attempt: str
    model: str
    cause: str
    at: float


@dataclass(frozen=True)
class Outbreak:
    """One cause and the models that failed with it, in order of time."""

    cause: str
    models: tuple[str, ...]

    @property
    def is_large_enough(self) -> bool:
        """Whether enough models failed for an outbreak, whatever a worker reports about the canary."""
        return len(self.models) >= MIN_MODELS

    def reason(self, canary_failure: str) -> str:
        """Return the public reason for pausing the suite; `canary_failure` describes the failure of the canary."""
        named = ", ".join(self.models[:MAX_NAMED]) + (", …" if len(self.models) > MAX_NAMED else "")
        return (
            f"{len(self.models)} models failed with {self.cause} within an hour ({named}), and a model that is known "
            f"to work fails as well: {canary_failure}. The fault is ours; these models can be relaunched once it is "
            "fixed."
        )


def models_struck(
    ended: Iterable[EndedAttempt],
    cause: str,
    *,
    now: float,
    since: float = float("-inf"),
    window: float = WINDOW_SECONDS,
) -> Outbreak:
    """Return the models that failed with `cause` within the `window` and after `since`."""
    failures = (
        attempt
        for attempt in ended
        if attempt.cause == cause and now - window <= attempt.at <= now and attempt.at > since
    )
    return Outbreak(
        cause, tuple(dict.fromkeys(attempt.model for attempt in sorted(failures, key=lambda attempt: attempt.at)))
    )


def suspicion(
    ended: Iterable[EndedAttempt], *, now: float, cleared: Mapping[str, float] | None = None
) -> Outbreak | None:
    """Return the outbreak that `ended` suggests, the largest if there are several; None if there is none.

    `cleared` maps a cause to the time of the last canary run for it; earlier failures do not count.
    """
    recent = [attempt for attempt in ended if now - WINDOW_SECONDS <= attempt.at <= now]
    needed = max(MIN_MODELS, MIN_SHARE * len({attempt.model for attempt in recent}))
    causes = {attempt.cause for attempt in recent} - UNRELATED_CAUSES - {""}
    cleared_times = cleared or {}
    outbreaks = [
        models_struck(recent, cause, now=now, since=cleared_times.get(cause, float("-inf"))) for cause in sorted(causes)
    ]
    return max(
        (attempt for attempt in outbreaks if len(attempt.models) >= needed),
        key=lambda attempt: len(attempt.models),
        default=None,
    )


def suites_paused_by_outbreak(pauses: Mapping[str, Hold]) -> dict[str, Hold]:
    """Return the suites that are paused because of an outbreak, with their pauses, by name."""
    own_pauses = ((target.partition(":"), hold) for target, hold in pauses.items() if hold.by == BY)
    return {name: hold for (kind, _, name), hold in own_pauses if kind == "suite"}
