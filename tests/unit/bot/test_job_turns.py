"""Which Hub Job runs, waits or exits when several sync one board."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.processes.job_turns import MAX_UNLISTED, SYNC_LABEL, JobTurns, Turn, turn_of
from hub.records import HubJob


def job(name: str, created: float) -> HubJob:
    """A running Job."""
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
    """The oldest Job runs, the second waits, and others exit; ids decide between Jobs created at the same time."""
    assert turn_of(live, "own") == turn


def looks(*lists: list[str]) -> tuple[bool, int]:
    """Whether the Job `own` runs if the Hub returns these lists in turn (the last for ever), and how often it asked."""
    remaining = list(lists)

    def listed(*_: object) -> list[HubJob]:
        names = remaining[0] if len(remaining) == 1 else remaining.pop(0)
        counted.append(names)
        return [HubJob(name, "RUNNING", {SYNC_LABEL: "b"}, 5.0 if name == "own" else 4.0, 5.0, 0.0) for name in names]

    counted = list[list[str]]()
    stop = SimpleNamespace(is_set=lambda: False, wait=lambda _: None)
    turns = JobTurns(cast(Any, SimpleNamespace(jobs=listed)), "ada", "b", "own")
    return turns.wait(cast(Any, stop)), len(counted)


def test_a_job_that_is_not_listed_yet_does_not_run_beside_another() -> None:
    """A Job that is not listed yet asks again; it runs unlisted only after the last try, or if it is alone."""
    assert looks(["older"], ["older", "own"], ["own"]) == (True, 3)
    assert looks(["older"], ["older", "old", "own"]) == (False, 2)
    assert looks(["older"]) == (True, MAX_UNLISTED)
    assert looks([]) == (True, 1)
