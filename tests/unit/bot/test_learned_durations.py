"""The bot learns the duration of evaluations from attempts that ended."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.evaluations.timing import count_gpu_time
from leaderboard.attempts import Details, Outcome
from leaderboard.results import file_time
from redis_state.board.entry import IndexEntry

STARTED, HOUR = 1_800_000_000.0, 3_600.0


@pytest.mark.parametrize(
    ("evaluated", "learned"),
    [(HOUR, HOUR), (1.5 * HOUR, 1.5 * HOUR), (-HOUR, 1.5 * HOUR), (2 * HOUR, 1.5 * HOUR), (None, 1.5 * HOUR)],
)
def test_the_wait_of_a_publication_is_no_part_of_an_evaluation(evaluated: float | None, learned: float) -> None:
    """The duration ends at the time in the results' name, or with the attempt if that is missing or implausible."""
    durations = list[float]()
    context = SimpleNamespace(
        board=SimpleNamespace(attempt_seconds=8 * HOUR),
        now=lambda: STARTED + 2 * HOUR,
        measures=SimpleNamespace(spend=lambda _: True, learn=lambda *call: durations.append(call[-1])),
    )
    name = f"results_{file_time(STARTED + evaluated)}.json" if evaluated is not None else "results.json"
    outcome = Outcome(
        attempt=f"{'0' * 12}-{'a' * 8}-1",
        path="path",
        revision="a" * 40,
        suite="starter",
        suite_digest="",
        started=STARTED,
        ended=STARTED + 1.5 * HOUR,
        phase="publish",
        details=Details(repo="details/good", commit="c" * 40, results_path=name),
    )
    count_gpu_time(cast(Any, context), IndexEntry(path="path"), outcome.attempt, outcome)
    assert durations == [learned]
