"""Which workers count when the bot decides what to queue, and estimates when an evaluation starts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.read_models.queue_snapshot import _capacities
from leaderboard.tiers import TIERS
from redis_state.heartbeats import WorkerCard
from redis_state.set_aside import account_name


@pytest.mark.parametrize(
    ("aside", "refused", "counted"),
    [((), (), 2), (("second",), (), 1), ((account_name("ada"),), (), 1), ((), ("second",), 1), ((), ("gone",), 2)],
)
def test_a_worker_that_takes_no_job_is_no_capacity(
    aside: tuple[str, ...], refused: tuple[str, ...], counted: int
) -> None:
    """A worker that is set aside or waits for an operator is no capacity; estimated starts would be too early."""
    cards = [
        WorkerCard(name="first", tiers=TIERS, since=0.0, beat=0.0),
        WorkerCard(name="second", tiers=TIERS, since=0.0, beat=0.0, account="ada"),
    ]
    context = SimpleNamespace(
        board=SimpleNamespace(backends={}),
        workers=SimpleNamespace(alive=lambda **_: cards),
        now=lambda: 0.0,
        set_aside=SimpleNamespace(all=lambda: [SimpleNamespace(worker=name) for name in aside]),
        accepted_digests=SimpleNamespace(waiting=lambda: [SimpleNamespace(worker=name) for name in refused]),
    )
    assert len(_capacities(cast(Any, context))) == counted
