"""Worker backends: where the attempts of a tier are computed, and which runs of a backend should exist now.

A tier without an entry in the board's `backends` is served by workers that take jobs from RQ all the time. For the
other kinds the bot starts one *run* for each attempt whose job waits in the tier's queue: a Job on the Hub, or a job of
a Slurm cluster. Each run is `steward work --once ATTEMPT`, labelled with the attempt, so that the bot finds its runs
again after any loss. Taking the job out of the queue decides between two runs of one attempt: the second one ends.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from leaderboard.backend_settings import BackendSettings
from leaderboard.tiers import Tier

DAY, MONTH = 86_400.0, 30 * 86_400.0
GRACE_SECONDS = 180.0
"""Seconds until the bot cancels a run that no attempt needs; such a run usually ends by itself before."""
WAITING_GRACE_SECONDS = 30.0
"""The same for a run that waits for a machine: it cannot end by itself, but the platform's list may be out of date."""
INTENT_SECONDS = 180.0
"""Seconds for which a run that the bot has just started counts although the platform does not list it yet."""
UNSEEN_SECONDS = 600.0
"""Seconds after which a live run that the platform no longer lists counts as lost."""
FAILING_RUNS = 4
"""The bot reports an attempt to maintainers if so many of its runs ended within a day and the attempt did not."""
CLOCKS_DIFFER = 60.0
"""Seconds by which the clocks of two sync processes may differ; a later time is from a clock that was set back."""
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 60.0, 3_600.0
"""Seconds until an attempt gets another run: after its first run ended, and at most, after many runs ended."""

Blocked = Literal["", "by_day", "by_month", "tasks"]
RunStage = Literal["waiting", "running", "ended", "failed", "lost"]
"""`lost`: the platform no longer knows a run that did not end."""
LIVE: frozenset[RunStage] = frozenset({"waiting", "running"})


@dataclass(frozen=True)
class BackendRun:
    """A run as its platform reports it, or as the bot recorded it where the platform knows it no longer.

    Times are in seconds since the epoch. `created`, `started` and `ended` are by the platform's clock, and the last two
    are 0 while unknown; all others are by the bot's. The id of a start that the platform has not confirmed is
    `start {attempt} {time}`.
    """

    id: str
    attempt: str
    tier: Tier
    stage: RunStage
    created: float
    started: float = 0.0
    ended: float = 0.0
    seen: float = 0.0
    """When the platform last listed it; 0: never, so the platform has not confirmed the start."""
    unwanted: float = 0.0
    """The time since which no attempt needs it; 0 while an attempt does."""
    known: float = 0.0
    """When the bot started it, or first saw it."""
    closed: float = 0.0
    """When the bot first saw that it had ended; 0 while it is live."""

    def seconds(self, now: float, since: float = 0.0) -> float:
        """Seconds for which the run is paid: from its start, or from `since`, until its end, or until now."""
        if not self.started:
            return 0.0
        return max(0.0, (self.ended or now) - max(self.started, since))


@dataclass(frozen=True)
class BackendFacts:
    """The facts from which the runs of one tier are planned.

    `queued`: attempts whose job waits in the tier's queue, in the order of the queue. `runs`: all runs of 30 days.
    `refused`: when a run last reported that its tasks differ from those of the board's results; 0: no run did.
    """

    queued: Sequence[str]
    runs: Sequence[BackendRun]
    now: float
    refused: float = 0.0


@dataclass(frozen=True)
class BackendPlan:
    """What to do with the runs of one tier.

    `blocked` names the cost limit that keeps attempts waiting, if one does. If it is `tasks`, the workers' tasks differ
    from those of the board's results: one run each LONGEST_WAIT_SECONDS then checks whether they still do. `failing`
    are queued attempts of which FAILING_RUNS runs ended before they took the job, or handed it back: the bot starts
    another run each LONGEST_WAIT_SECONDS, and a maintainer should find the cause.
    """

    launch: tuple[str, ...] = ()
    cancel: tuple[BackendRun, ...] = ()
    blocked: Blocked = ""
    failing: tuple[str, ...] = ()


def plan_runs(backend: BackendSettings, facts: BackendFacts, attempt_seconds: float) -> BackendPlan:
    """Return which runs of one tier to start and to cancel now."""
    live = [run for run in facts.runs if run.stage in LIVE]
    served = {run.attempt for run in live}
    ended = _ended_by_attempt(facts)
    due = [
        attempt
        for attempt in facts.queued
        if attempt not in served and facts.now >= _next_start(ended.get(attempt, []), facts.now)
    ]
    places = due[: max(0, backend.parallel - len(live))]
    affordable, blocked = _affordable(backend, facts, attempt_seconds)
    if facts.refused:
        waited = facts.now - facts.refused
        may_look = not live and (waited >= LONGEST_WAIT_SECONDS or waited < -CLOCKS_DIFFER)
        affordable = min(1, affordable) if may_look else 0
    return BackendPlan(
        launch=tuple(places[:affordable]),
        cancel=tuple(run for run in live if _is_cancelled(backend, run, facts.now)),
        blocked="tasks" if facts.refused else blocked if affordable < len(places) else "",
        failing=tuple(attempt for attempt in facts.queued if len(ended.get(attempt, ())) >= FAILING_RUNS),
    )


def _is_cancelled(backend: BackendSettings, run: BackendRun, now: float) -> bool:
    """Whether a live run has to end: no attempt needs it, or it waits so long that its attempt's token expires."""
    grace = WAITING_GRACE_SECONDS if run.stage == "waiting" else GRACE_SECONDS
    if run.unwanted and _is_over(grace, run.unwanted, now):
        return True
    return run.stage == "waiting" and bool(run.seen) and now - run.known > backend.wait_seconds


def _is_over(seconds: float, since: float, now: float) -> bool:
    """Whether more than `seconds` have passed since `since`, or `since` is in the future: the clock was set back."""
    return not -CLOCKS_DIFFER <= now - since <= seconds


def merge_runs(
    recorded: Iterable[BackendRun], listed: Iterable[BackendRun], wanted: Collection[str], now: float
) -> list[BackendRun]:
    """Return the runs of the last 30 days: as the platform lists them, and recorded ones that it does not list.

    `wanted`: attempts that wait or are in progress; a run of another attempt is unwanted from now on.
    """
    earlier = {run.id: run for run in recorded}
    seen = {run.id: replace(run, seen=now, known=_known(earlier.get(run.id), now)) for run in listed}
    runs = dict(seen)
    for run in earlier.values():
        if run.id not in seen and (kept := _unlisted(run, seen.values(), now)) is not None:
            runs[run.id] = kept
    return [
        replace(run, unwanted=_since(run.attempt not in wanted, earlier.get(run.id), "unwanted", now),
                closed=_since(run.stage not in LIVE, earlier.get(run.id), "closed", now))
        for run in sorted(runs.values(), key=lambda run: (run.created, run.id))
        if run.stage in LIVE or now - (run.ended or run.created) < MONTH
    ]  # fmt: skip


def _known(earlier: BackendRun | None, now: float) -> float:
    return earlier.known if earlier is not None and earlier.known else now


def _since(is_so: bool, earlier: BackendRun | None, name: Literal["unwanted", "closed"], now: float) -> float:
    """Return the time since which `is_so` holds, from the earlier record or else now; 0 if it does not hold."""
    if not is_so:
        return 0.0
    return (getattr(earlier, name) if earlier is not None else 0.0) or now


def _unlisted(run: BackendRun, seen: Iterable[BackendRun], now: float) -> BackendRun | None:
    """Return a recorded run that the platform does not list; None for a start that failed or is listed by its id."""
    if run.stage not in LIVE:
        return run
    if not run.seen:
        is_listed = any(other.attempt == run.attempt and other.known >= run.known for other in seen)
        return None if is_listed or _is_over(INTENT_SECONDS, run.known, now) else run
    if not _is_over(UNSEEN_SECONDS, run.seen, now):
        return run
    return replace(run, stage="lost", ended=run.seen)


def launched_attempts(runs: Iterable[BackendRun]) -> set[str]:
    """Return the attempts that have a live run. No other request overtakes them, because their run would be wasted."""
    return {run.attempt for run in runs if run.stage in LIVE and not run.unwanted}


def cost_of(backend: BackendSettings, seconds: float) -> float:
    """Return what `seconds` of one run cost."""
    return backend.costs.hourly * seconds / 3_600


def spent_since(backend: BackendSettings, runs: Iterable[BackendRun], since: float, now: float) -> float:
    """Return what `runs` have cost since the time `since`; of a run that began earlier, the part after it counts."""
    return cost_of(backend, sum(run.seconds(now, since) for run in runs))


def _ended_by_attempt(facts: BackendFacts) -> dict[str, list[float]]:
    """Return when the runs of each queued attempt ended within a day, without taking the job or after returning it."""
    ended: dict[str, list[float]] = {attempt: [] for attempt in facts.queued}
    for run in facts.runs:
        if run.stage not in LIVE and run.attempt in ended and facts.now - run.closed < DAY:
            ended[run.attempt].append(run.closed)
    return ended


def _next_start(ended: Sequence[float], now: float) -> float:
    """Return when an attempt whose runs `ended` at these times may get another one; each wait doubles the last one.

    A run that ended in the future was recorded before the clock was set back: it causes no wait.
    """
    past = [time for time in ended if time <= now + CLOCKS_DIFFER]
    if not past:
        return 0.0
    return max(past) + min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (len(ended) - 1))


def _affordable(backend: BackendSettings, facts: BackendFacts, attempt_seconds: float) -> tuple[int, Blocked]:
    """Return how many more runs, each up to its time limit, the costs allow, and the limit that allows the fewest."""
    limit_seconds = backend.seconds(attempt_seconds)
    reserve = cost_of(backend, limit_seconds)
    count = backend.parallel
    blocked: Blocked = ""
    if not reserve:
        return count, blocked
    remaining = sum(max(0.0, limit_seconds - run.seconds(facts.now)) for run in facts.runs if run.stage in LIVE)
    limits: tuple[tuple[Literal["by_day", "by_month"], float | None, float], ...] = (
        ("by_day", backend.costs.by_day, DAY),
        ("by_month", backend.costs.by_month, MONTH),
    )
    for name, limit, window in limits:
        if limit is None:
            continue
        used = spent_since(backend, facts.runs, facts.now - window, facts.now) + cost_of(backend, remaining)
        allowed = max(0, math.floor((limit - used) / reserve + 1e-9))
        if allowed < count:
            count, blocked = allowed, name
    return count, blocked


def exceeded_by_one_run(backend: BackendSettings, attempt_seconds: float) -> tuple[Blocked, float]:
    """Return the limit that a single run may exceed, so that no run ever starts ("": none), and a run's top price."""
    price = cost_of(backend, backend.seconds(attempt_seconds))
    if backend.costs.by_day is not None and price > backend.costs.by_day + 1e-9:
        return "by_day", price
    return "by_month" if backend.costs.by_month is not None and price > backend.costs.by_month + 1e-9 else "", price


@dataclass(frozen=True)
class BackendCosts:
    """The costs of one tier's runs in 24 hours and in 30 days, and the mean cost of a run that ended."""

    day: float
    month: float
    mean: float | None


def costs_of(backend: BackendSettings, runs: Sequence[BackendRun], now: float) -> BackendCosts:
    """Return the costs of `runs`, all runs of one tier in 30 days."""
    ended = [run for run in runs if run.stage not in LIVE and run.started]
    return BackendCosts(
        day=spent_since(backend, runs, now - DAY, now),
        month=spent_since(backend, runs, now - MONTH, now),
        mean=cost_of(backend, sum(run.seconds(now) for run in ended)) / len(ended) if ended else None,
    )
