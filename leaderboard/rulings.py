"""What maintainers decide about a request: how its file changes with it, and nothing else."""

from __future__ import annotations

from leaderboard.holds import Hold, Priority
from leaderboard.requests import Status
from leaderboard.transitions import Transition


def cancelled(why: Hold) -> Transition:
    """CANCELLED, with reason and name; a hold is over with it."""
    return Transition({"status": Status.CANCELLED.value}, {"cancelled": why.model_dump(), "hold": None})


def held(why: Hold | None) -> Transition:
    """No turn for now, and why; None: as all others again. The status stays."""
    return Transition({}, {"hold": why.model_dump() if why is not None else None})


def prioritised(priority: Priority) -> Transition:
    """Its turn comes before those of lower priorities."""
    return Transition({}, {"priority": priority if priority != "normal" else None})
