"""When a bot that runs with `--until-idle` has nothing left to do."""

from __future__ import annotations

import pytest

from leaderboard.idleness import BoardActivity, QuietPeriod

IDLE, RESTLESS = BoardActivity(), BoardActivity(restless=True)


@pytest.mark.parametrize(
    ("activity", "words"),
    [
        (IDLE, ""),
        (RESTLESS, ""),
        (BoardActivity(due=1), "1 sync is due"),
        (BoardActivity(syncing=2, due=3), "2 syncs run, 3 syncs are due"),
        (BoardActivity(unread_pages=1), "1 repo has unread discussions"),
        (BoardActivity(running=1, queued=2), "1 evaluation runs, 2 evaluations are queued"),
        (BoardActivity(runs=1), "1 run of a backend lives"),
    ],
)
def test_what_remains_is_told(activity: BoardActivity, words: str) -> None:
    """Each kind of remaining work is described with its number; restless keys do not count."""
    assert activity.remains == words


@pytest.mark.parametrize(
    ("course", "ends_at"),
    [
        ([IDLE] * 9, 5),
        ([IDLE, IDLE, BoardActivity(due=1), *[IDLE] * 9], 8),
        ([RESTLESS] * 9, None),
        ([RESTLESS, IDLE, *[RESTLESS] * 9], 5),
        ([IDLE, BoardActivity(running=1), *[RESTLESS] * 9], None),
    ],
    ids=["quiet", "interrupted", "never at rest", "at rest once", "at rest before the interruption only"],
)
def test_the_bot_is_idle_after_a_quiet_period(course: list[BoardActivity], ends_at: int | None) -> None:
    """Any work starts the period anew; keys that the timer marks at each tick must have been at rest once in it."""
    quiet = QuietPeriod(5.0)
    ends = [second for second, activity in enumerate(course) if quiet.note(activity, float(second))]
    assert (ends[0] if ends else None) == ends_at
