"""What charts cache: figures and pictures are computed again when their data changes, and not otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from bot.core.context import BoardContext
from bot.web.charts import comparing, times
from bot.web.charts.comparing import Standards, standards
from bot.web.charts.times import TimingReader
from bot.web.request_row import RequestRow
from bot.web.rows import RequestRows
from leaderboard.flags import FlagRecord, StandingFlags
from leaderboard.timings import DAY
from steward.testing.waiting import wait_until


class Counts:
    """A fake board context that holds only daily counts (day → fields), and records which days were read."""

    class board:  # noqa: N801  the context has one
        """The only setting of a board that `TimingReader` reads."""

        precisions = ("float16",)

    def __init__(self) -> None:
        self.time = 20_000 * DAY
        self.days: dict[int, dict[str, str]] = {}
        self.reads: list[list[int]] = []
        self.timings = self

    def now(self) -> float:
        """The fake clock's time."""
        return self.time

    def read(self, numbers: Sequence[int]) -> list[Mapping[str, str]]:
        """The counts of these days, as `Timings.read` returns them."""
        self.reads.append(list(numbers))
        return [dict(self.days.get(at, {})) for at in numbers]


def test_a_day_is_read_until_it_is_over_and_then_once() -> None:
    """Each view reads today's and yesterday's counts again, but those of earlier days only once."""
    context = Counts()
    view = TimingReader(cast(BoardContext, context))
    context.days = {19_950: {"end|finished": "5"}, 20_000: {"end|finished": "1"}}
    assert (view.times(90).finished, view.times(7).finished) == (6, 1)
    assert [len(days) for days in context.reads] == [2, 88, 2]
    first = view.times(7)
    assert view.times(7) is first, "nothing has changed"
    context.days[20_000]["end|finished"] = "4"
    context.time += 3 * DAY
    context.reads.clear()
    assert view.times(7).finished == 4, "the counts that were added to that day after the first view"
    assert context.reads == [[20_002, 20_003], [19_999, 20_000, 20_001]]
    context.days[20_003] = {"end|us": "2"}
    assert view.times(7).failed == 2
    assert context.reads[2:] == [[20_002, 20_003]]
    context.time += DAY
    view.times(7)
    assert context.reads[3:] == [[20_003, 20_004], [20_002]]


def test_a_picture_of_older_figures_is_not_kept_as_that_of_newer_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture of older counts is not cached as that of newer ones, if an event is counted while it is drawn."""
    context = Counts()
    view = TimingReader(cast(BoardContext, context))
    context.days = {20_000: {"end|finished": "1"}}
    monkeypatch.setattr(times, "draw", lambda picture, width: f"{picture.says} {width}".encode())
    look = view.times

    def meddled(length: int = 7) -> Any:
        timings = look(length)
        context.days[20_000]["end|finished"] = "4"
        look(length)
        return timings

    monkeypatch.setattr(view, "times", meddled)
    view.picture("ended", 7, 360)
    meddled()
    assert b" 4 attempts finished" in (view.picture("ended", 7, 360) or b"")


def line(model: str, average: float | None, category: str = "chat", suite: str = "s") -> RequestRow:
    """A row of the table."""
    values: dict[str, Any] = {"category": category, "average": average, "base": "", "revision": "", "precision": ""}
    return RequestRow(model, model, model, "finished", 0.0, values, suite=suite, benchmarks={"x": average or 0.0})


def test_what_a_category_reaches_is_by_one_suite_of_what_is_shown() -> None:
    """The standard of a category is computed per suite; flagged models and those without scores are left out."""
    lines = (
        line("a", 10.0),
        line("b", 30.0),
        line("flagged", 99.0),
        line("none", None),
        line("odd", 50.0, category="unknown"),
        line("old", 70.0, suite="t"),
    )
    flags = StandingFlags([FlagRecord(model="flagged", status="flagged", category="other")])
    by_group = standards(RequestRows(lines, flags))
    assert {group: [evaluation.model for evaluation in standard.best] for group, standard in by_group.items()} == {
        ("chat", "s"): ["b", "a"],
        ("chat", "t"): ["old"],
    }
    assert by_group["chat", "s"].average == 20.0


@pytest.mark.parametrize("many", [1, 5_000])
def test_the_table_changes_and_so_does_what_is_reached(many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A changed table changes the standards: at once if the table is small, in the background if it is large."""
    monkeypatch.setattr(comparing, "MAX_SYNCHRONOUS_ROWS", many)
    nothing = StandingFlags(())
    before, after = RequestRows((line("a", 10.0),), nothing), RequestRows((line("a", 10.0), line("b", 30.0)), nothing)
    cached = Standards()
    assert cached.of(before, ("chat", "s")).models == 1
    assert cached.of(after, ("unknown", "s")).models == 0
    wait_until(lambda: cached.of(after, ("chat", "s")).models == 2)
