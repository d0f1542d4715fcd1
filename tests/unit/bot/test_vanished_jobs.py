"""When the schedule requeues an attempt whose job is in no queue."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.processes.schedule import STUCK_IN_RQ_SECONDS, Schedule
from redis_state import jobs
from redis_state.board.entry import IndexEntry

ATTEMPT, NOW = "0123456789ab-01234567-1", 1e9


@pytest.mark.parametrize(
    ("queued", "waits_again"), [(NOW - STUCK_IN_RQ_SECONDS - 1, True), (NOW - 1, False), (NOW + 86_400, True)]
)
def test_a_clock_that_was_set_back_hides_no_vanished_job(
    queued: float, waits_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attempt whose job is gone is requeued even if the clock was set back and it seems queued in the future."""
    changed = list[str]()
    context = SimpleNamespace(
        board=SimpleNamespace(backends={}),
        queues=(),
        redis=None,
        workers=SimpleNamespace(alive=lambda **_: []),
        attempts=SimpleNamespace(read=lambda _: None),
        index=SimpleNamespace(change=lambda path, _: changed.append(path)),
    )
    monkeypatch.setattr(jobs, "queued_attempts", lambda *_: {})
    monkeypatch.setattr(jobs, "delete", lambda *_: None)
    entry = IndexEntry(path="a/b_eval_request_False_bfloat16_Original.json").changed(
        state="queued", attempt=ATTEMPT, queued=queued
    )
    schedule = Schedule(cast(Any, context))
    for _ in range(2):
        schedule._requeue_vanished([entry], NOW)
    assert bool(changed) is waits_again
