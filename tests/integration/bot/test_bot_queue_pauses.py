"""Pauses end to end: the file `.steward/pauses` on the Hub decides what the bot dispatches."""

from __future__ import annotations

import pytest

from bot.queue import rulings
from leaderboard.holds import MAX_PAUSES, PAUSES
from steward.testing.board import BoardDriver
from tests.support.board.queued_requests import queued, start, status_comment, submit


@pytest.mark.parametrize("what", ["board", "tier:small"])
def test_a_pause_stops_turns_and_not_what_runs_and_survives_amnesia(stand: BoardDriver, what: str) -> None:
    """A pause stops dispatch but no running attempt, also after Redis is lost; repo and thread show the reason."""
    stand.worker()
    first, other = submit(stand, "p1", "p2", sender="ada")
    job = start(stand, queued(stand)[0])
    waits = other if job.path == first else first
    assert rulings.pause(stand.context, what, "The machines are moved.", "maya").done
    stand.settle()
    assert queued(stand) == []
    assert stand.beat(job)
    (pause,) = stand.file(PAUSES).values()
    assert (pause["reason"], pause["by"]) == ("The machines are moved.", "maya")
    stand.tick()
    stand.settle()
    assert "paused" in status_comment(stand, waits)
    assert "The machines are moved." in status_comment(stand, waits)
    assert rulings.pause(stand.context, what, "The machines are moved.", "maya").code == "paused-already"
    stand.context.redis.flushall()
    stand.worker()
    stand.tick()
    stand.settle()
    assert queued(stand) == []
    assert rulings.resume(stand.context, what).done
    stand.settle()
    assert waits in queued(stand)
    assert rulings.resume(stand.context, what).code == "not-paused"


@pytest.mark.parametrize("broken", [b"{", b"{}" + b" " * MAX_PAUSES], ids=["cut off", "too large"])
def test_people_may_pause_by_hand_and_a_broken_file_changes_nothing(stand: BoardDriver, broken: bytes) -> None:
    """A bare reason in the file pauses the queue; an unreadable file keeps it paused, also after Redis is lost."""
    stand.put(PAUSES, b'{"board": "Back on Monday."}')
    stand.worker()
    (path,) = submit(stand, "float32", sender="ada")
    assert queued(stand) == []
    assert "**The queue is paused**: Back on Monday." in status_comment(stand, path)
    stand.put(PAUSES, broken)
    stand.settle()
    assert queued(stand) == []
    stand.context.redis.flushall()
    stand.worker()
    stand.tick()
    stand.settle()
    assert queued(stand) == []
    assert "**The queue is paused**: The file .steward/pauses cannot be read" in status_comment(stand, path)
    stand.put(PAUSES, b"{}")
    stand.settle()
    assert queued(stand) == [path]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"board": "Back on Monday."}', "Back on Monday."),
        (b" " * (MAX_PAUSES + 1), f"The file {PAUSES} cannot be read"),
    ],
    ids=["a pause", "too large"],
)
def test_after_an_amnesia_nothing_is_dispatched_before_the_pauses_are_read(
    stand: BoardDriver, content: bytes, why: str
) -> None:
    """The first sync after Redis is lost reads the pauses, keeps the request waiting, and posts the reason."""
    stand.put(PAUSES, content)
    stand.worker()
    (path,) = submit(stand, "float32", sender="ada")
    stand.context.redis.flushall()
    stand.worker()
    stand.context.mark(f"request:{path}")
    stand.work()
    assert stand.context.index.get(path).state == "waiting"
    assert queued(stand) == []
    assert f"**The queue is paused**: {why}" in status_comment(stand, path)
