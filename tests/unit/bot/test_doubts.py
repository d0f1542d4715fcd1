"""Which results are marked when an account turns out to publish answers that are not the model's."""

from __future__ import annotations

from bot.evaluations.doubts import since_last_good_check
from leaderboard.cross_checks import CrossCheckRecord, CrossCheckStatus
from leaderboard.evaluations import MeasuredResults
from leaderboard.results import Scores


def results(hour: int, status: CrossCheckStatus, *, answered: int = 0, worker: str = "lent") -> MeasuredResults:
    """Results of this hour, by answers of the hour `answered`, if another one."""
    path = "org/m/results_2026-01-01T{:02}-00-00.000000.json"
    again = CrossCheckRecord(worker=worker, status=status)
    return MeasuredResults(
        path.format(hour), Scores(0.0, ()), again=again, answers=path.format(answered) if answered else ""
    )


def marked(*measured: MeasuredResults) -> list[int]:
    """The hours of those that are marked."""
    return [int(each.path.partition("T")[2][:2]) for each in since_last_good_check(list(measured), "Lent")]


def test_the_time_of_the_answers_counts() -> None:
    """Scores that were computed again are as old as their answers: a good check of earlier answers covers no later."""
    assert marked(results(1, "not-compared"), results(2, "agrees"), results(3, "not-compared")) == [3]
    again = results(5, "agrees", answered=2), results(6, "not-compared", answered=3)
    assert marked(*again, results(4, "not-compared")) == [4, 6]
    assert marked(results(5, "not-compared", answered=1), results(2, "agrees")) == []
    assert marked(results(3, "not-compared", worker="other")) == []
