"""The rows of the table: what one who looks first waits for is made before, and as it would be made then."""

from __future__ import annotations

import pytest

from bot.web import rows as module
from bot.web.alike import Alike
from bot.web.rows import Line, Rows
from leaderboard.search import fold, parse

NOBODY: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())


def line(number: int) -> Line:
    """One evaluation."""
    name, values = f"org/model-{number}", {"average": float(number % 7), "parameters": None}
    scores = {"IFEval": float(number % 3)}
    return Line(f"{number}.json", name, fold(name), "finished", float(number), values, benchmarks=scores)


def test_rows_that_follow_prepared_ones_make_nobody_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders that people asked for, and near names, are there from the start; without the rows before they are not."""
    lines = tuple(map(line, range(20)))
    first = Rows(lines, NOBODY)
    first.prepare(["IFEval"])
    made = list[int]()

    class Counted(Alike):
        def __init__(self, names: object) -> None:
            made.append(1)
            super().__init__(names)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "Alike", Counted)
    plain, following = Rows(lines, NOBODY), Rows(lines, NOBODY, first)
    assert made == [1]
    assert following.near(parse("model-199")) == plain.near(parse("model-199")) != []
    assert made == [1, 1], "the plain ones made theirs when they were asked"
    monkeypatch.setattr(Rows, "_key", None)
    assert following.in_order(range(20), "IFEval", rising=True)[0] == 0
    with pytest.raises(TypeError):
        plain.in_order(range(20), "IFEval", rising=True)
