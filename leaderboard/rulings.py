"""What maintainers decide about a request: how its file changes with it, and nothing else."""

from __future__ import annotations

from leaderboard.holds import Hold, Priority
from leaderboard.requests import PreviousResult, Status
from leaderboard.transitions import Transition


def cancel_transition(why: Hold, kept: PreviousResult | None = None) -> Transition:
    """CANCELLED, with reason and name; a hold is over with it. The result that is `kept` was not what was withdrawn."""
    facts = {"cancelled": why.model_dump(), "hold": None}
    facts |= {"kept": kept.model_dump(exclude_none=True)} if kept is not None else {}
    return Transition({"status": Status.CANCELLED.value}, facts)


def hold_transition(why: Hold | None) -> Transition:
    """No turn for now, and why; None: as all others again. The status stays."""
    return Transition({}, {"hold": why.model_dump() if why is not None else None})


def priority_transition(priority: Priority) -> Transition:
    """Its turn comes before those of lower priorities."""
    return Transition({}, {"priority": priority if priority != "normal" else None})
