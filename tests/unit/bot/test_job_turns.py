"""Which of the Jobs that sync one board runs, waits, or ends at once."""

from __future__ import annotations

import pytest

from bot.processes.job_turns import Turn, turn_of
from hub.records import HubJob


def job(name: str, created: float) -> HubJob:
    """A live Job."""
    return HubJob(id=name, stage="RUNNING", labels={}, created=created, started=created, ended=0.0)


@pytest.mark.parametrize(
    ("live", "turn"),
    [
        ([job("own", 5)], "run"),
        ([job("own", 5), job("younger", 6), job("youngest", 7)], "run"),
        ([job("own", 5), job("older", 4), job("younger", 6)], "wait"),
        ([job("own", 5), job("older", 4), job("oldest", 3)], "leave"),
        ([job("own", 5), job("a twin", 5)], "wait"),
        ([job("own", 5), job("the younger twin", 5)], "run"),
        ([job("older", 4), job("oldest", 3)], "run"),
    ],
    ids=["alone", "the oldest", "the second", "the third", "created together", "before its twin", "not listed"],
)
def test_the_oldest_runs_the_next_waits_and_others_leave(live: list[HubJob], turn: Turn) -> None:
    """Two Jobs that were created at the same time agree about their order by their ids."""
    assert turn_of(live, "own") == turn
