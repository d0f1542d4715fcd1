"""An attempt that ran out of memory is tried again on a larger machine, if there is one."""

from __future__ import annotations

from leaderboard.failures import cause
from redis_state.heartbeats import WorkerCard
from steward.testing.board import BoardDriver


def retried(stand: BoardDriver, *tiers: str) -> str:
    """End an attempt as out of memory, and return the next attempt's tier while a worker offers `tiers`."""
    job = stand.started()
    stand.context.workers.leave("w")
    stand.end(job, failure=cause("out-of-memory").failure("it held more than it may"))
    stand.time += 400
    stand.context.workers.announce(WorkerCard(name="w", tiers=tiers, since=stand.time, beat=stand.time))
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    entry = stand.context.index.get(job.path)
    assert entry.number == 2
    return entry.tier


def test_what_ran_out_of_memory_is_tried_on_a_larger_machine(stand: BoardDriver) -> None:
    """After a small model ran out of memory, its next attempt goes to the tier `large` if a worker offers it."""
    assert retried(stand, "small", "large") == "large"


def test_without_a_larger_machine_it_is_tried_on_the_same(stand: BoardDriver) -> None:
    """Without a larger worker the next attempt stays in its tier."""
    assert retried(stand, "small") == "small"
