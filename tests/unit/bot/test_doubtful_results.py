"""Which results the bot marks as doubtful when an account turns out to have published answers of another model."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.evaluations import doubts
from bot.evaluations.doubts import since_last_good_check
from bot.ledger.edits import FieldEdit, PutFile
from leaderboard.cross_checks import CrossCheckRecord, CrossCheckStatus
from leaderboard.evaluations import MeasuredResults
from leaderboard.scores import Scores


def results(name: int, status: CrossCheckStatus, *, hour: int | None = None, worker: str = "lent") -> MeasuredResults:
    """Results whose check was settled at `hour`, in a file whose name has the hour `name`."""
    at = f"2026-01-01T{hour:02}:00:00Z" if hour is not None else ""
    again = CrossCheckRecord(worker=worker, status=status, at=at)
    return MeasuredResults(f"org/m/results_2026-01-01T{name:02}-00-00.000000.json", Scores(0.0, ()), again=again)


def marked(*measured: MeasuredResults) -> list[int]:
    """The hours in the file names of the marked results."""
    return [int(each.path.partition("T")[2][:2]) for each in since_last_good_check(list(measured), "Lent")]


def test_the_time_of_the_check_counts_and_not_the_name_of_the_file() -> None:
    """Results since the last good check are found by the times of checks, because workers choose the names of files."""
    before, good, after = (
        results(1, "not-compared", hour=1),
        results(2, "agrees", hour=2),
        results(3, "disputed", hour=3),
    )
    assert marked(before, good, after) == [3]
    assert marked(results(9, "not-compared", hour=1), good, results(0, "not-compared", hour=3)) == [0]
    assert marked(results(23, "agrees", hour=2), after) == [3]
    assert marked(results(3, "not-compared", hour=3, worker="other")) == []


def test_a_check_without_a_time_covers_nothing() -> None:
    """Results whose check has no recorded time are marked too, and do not keep others from being marked."""
    assert marked(results(1, "not-compared"), results(2, "agrees"), results(3, "not-compared", hour=1)) == [1, 3]


def test_results_that_are_staged_are_marked_once_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Results whose commit is still staged are marked too, by an edit that follows the one that writes them."""
    known = {f"org/m/results_2026-01-01T0{hour}-00-00.000000.json": results(hour, "not-compared") for hour in (3, 4)}
    written, put = known
    edits = [
        PutFile(id="results a", path=put, data=b"{}", line="Add results"),
        PutFile(id="removed", path="org/m/results_other.txt", data=b"{}", line="Another file"),
    ]
    staged = list[FieldEdit]()
    context = SimpleNamespace(
        now=lambda: 0.0,
        suite=None,
        results=None,
        ledger=SimpleNamespace(edits=SimpleNamespace(read=lambda _: [SimpleNamespace(edit=edit) for edit in edits])),
        effects=SimpleNamespace(stage=lambda _, *marks: staged.extend(marks)),
    )
    monkeypatch.setattr(doubts, "gather", lambda _: SimpleNamespace(measured={written: known[written]}))
    monkeypatch.setattr(doubts, "measure", lambda path, *_: known[path])
    assert doubts.mark_results(cast(Any, context), "lent", attempt="attempt") == 2
    assert [(edit.path, edit.after) for edit in staged] == [(written, ()), (put, ("results a",))]
