"""Dispatch of trials: they get the workers that no request needs, and stop as soon as a request needs their worker."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from leaderboard.dispatch import QueueConditions, WaitingRequest, WorkerCapacity, find_blocker
from leaderboard.tiers import Tier


class TrialTurns(NamedTuple):
    """The trials that belong in RQ now, and the attempts of running trials that must stop."""

    start: list[WaitingRequest]
    stop: list[str]


def choose_trials(
    waiting: Iterable[WaitingRequest],
    running: Iterable[str],
    chosen: Sequence[WaitingRequest],
    conditions: QueueConditions,
) -> TrialTurns:
    """Decide about trials after the requests have their turns.

    `waiting` holds the trials that no worker has taken, in RQ or not; `running` the attempts of the others. `chosen`
    holds the requests that belong in RQ now: each takes an idle worker first, then one that runs a trial.
    """
    attempts = set(running)
    idle = [capacity for capacity in conditions.capacities if not capacity.doing]
    on_trial = [capacity for capacity in conditions.capacities if capacity.doing in attempts]
    stop: list[str] = []
    for request in chosen:
        tier = conditions.queue_of(request.tier)
        if _take(idle, tier) is None and (worker := _take(on_trial, tier)) is not None:
            stop.append(worker.doing)
    start: list[WaitingRequest] = []
    for trial in sorted(waiting, key=lambda each: (each.submitted, each.path)):
        is_free = find_blocker(trial, conditions) is None
        if is_free and _take(idle, conditions.queue_of(trial.tier)) is not None:
            start.append(trial)
    return TrialTurns(start, stop)


def _take(workers: list[WorkerCapacity], tier: Tier) -> WorkerCapacity | None:
    """Remove the first of `workers` that serves `tier`, and return it."""
    worker = next((each for each in workers if tier in each.tiers), None)
    if worker is not None:
        workers.remove(worker)
    return worker
