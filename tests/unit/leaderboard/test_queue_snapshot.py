"""The queue at one moment: positions, expected starts, and threads that show outdated positions."""

from __future__ import annotations

from leaderboard.dispatch import QueueBlocker, QueueConditions, RunningAttempt, WaitingRequest, WorkerCapacity
from leaderboard.estimates import Durations
from leaderboard.queue_snapshot import QueueOutlook, QueueSnapshot

SMALL, LARGE = WorkerCapacity(("small", "medium")), WorkerCapacity(("large",))
DURATIONS = Durations({("x", 30): [100.0, 100.0, 100.0]})
NOW = 1_000.0


def waiting(path: str, submitter: str = "ada", submitted: float = 0.0, **more: object) -> WaitingRequest:
    """A request of suite `x` that waits; its path serves as its attempt."""
    return WaitingRequest(path, path, submitter, submitted, **{"suite": "x", "size": 30, **more})  # type: ignore[arg-type]


def snapshot(*requests: WaitingRequest, running: tuple[RunningAttempt, ...] = (), **more: object) -> QueueSnapshot:
    """The queue of `requests` on two workers for small models and one for large ones."""
    conditions = QueueConditions(capacities=(SMALL, SMALL, LARGE), durations=DURATIONS, **more)  # type: ignore[arg-type]
    return QueueSnapshot(requests, running, conditions, NOW)


def test_a_request_has_a_position_among_those_of_its_workers() -> None:
    """The outlook counts the requests, the submitter's turns and the workers of one lane alone."""
    requests = [waiting("a1"), waiting("a2", submitted=1), waiting("b", "bob", 2), waiting("large", tier="large")]
    queue = snapshot(*requests)
    outlooks = {path: queue.outlook(path) for path in ("a1", "b", "a2", "large")}
    shown = {
        path: (outlook.position, outlook.among, outlook.turn, outlook.workers)
        for path, outlook in outlooks.items()
        if outlook
    }
    assert shown == {"a1": (1, 3, 1, 2), "b": (2, 3, 1, 2), "a2": (3, 3, 2, 2), "large": (1, 1, 1, 1)}
    assert queue.outlook("elsewhere") is None


def test_a_request_that_is_held_back_has_the_reason_in_place_of_a_position() -> None:
    """The outlook of a held request and of one in a paused tier says why, and how many workers there are."""
    requests = (waiting("held", held=True), waiting("large", tier="large"), waiting("free"))
    queue = snapshot(*requests, paused=frozenset({"tier:large"}))
    assert queue.outlook("held") == QueueOutlook(held=QueueBlocker("hold"), workers=2)
    assert queue.outlook("large") == QueueOutlook(held=QueueBlocker("pause", "tier:large"), workers=1)
    free = queue.outlook("free")
    assert free is not None and (free.position, free.held) == (1, None)


def test_a_start_is_expected_when_the_work_before_it_has_ended() -> None:
    """The expected start counts the remaining time of work in the same lane, and ignores other lanes."""
    busy = [("1", "medium", NOW - 40), ("2", "medium", NOW - 10), ("3", "large", NOW)]
    running = tuple(
        RunningAttempt(name, "bob", tier, size=30, suite="x", started=started)  # type: ignore[arg-type]
        for name, tier, started in busy
    )
    queue = snapshot(waiting("a"), waiting("b", submitted=1), running=running)
    starts = [outlook.start for path in ("a", "b") if (outlook := queue.outlook(path)) is not None]
    assert [start.expected for start in starts if start is not None] == [NOW + 60, NOW + 90]


def test_a_start_of_unknown_length_is_not_estimated() -> None:
    """A request behind an evaluation of unknown duration has a position and no start."""
    queue = snapshot(waiting("a", suite="new"), waiting("b", submitted=1))
    outlook = queue.outlook("b")
    assert outlook is not None
    assert (outlook.position, outlook.start, outlook.estimated_start) == (2, None, None)


def test_threads_that_show_another_place_or_reason_are_told_again() -> None:
    """Threads with a wrong position or reason are listed for an update, up to a limit; right ones are not."""
    requests = [
        waiting("right", place=1),
        waiting("wrong", submitted=1, place=1_000),
        waiting("known", held=True, why="hold"),
        waiting("unknown", held=True),
        waiting("another", held=True, why="budget submitter"),
    ]
    queue = snapshot(*requests)
    assert queue.to_be_retold(9) == ["wrong", "unknown", "another"]
    assert queue.to_be_retold(2) == ["wrong", "unknown"]
