"""The rows of the requests table: sort orders and indexes are prepared ahead, and equal those made on demand."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.results.fuzzy_names import FuzzyNameIndex
from bot.web import rows as module
from bot.web.request_row import RequestRow
from bot.web.rows import MAX_CACHED, RequestRows
from leaderboard.flags import FlagRecord, FlagScope, StandingFlags
from leaderboard.search import Query, SearchRow, fold, parse

NO_FLAGS = StandingFlags(())


def line(number: int) -> RequestRow:
    """The row of one evaluation."""
    name = f"org/model-{number}"
    values = {"average": float(number % 7), "parameters": None, "revision": f"{number:040x}", "precision": "float16"}
    scores = {"IFEval": float(number % 3)}
    return RequestRow(f"{number}.json", name, fold(name), "finished", float(number), values, benchmarks=scores)


def test_rows_that_follow_prepared_ones_make_nobody_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that replace prepared ones have their sort orders and name index at once; others build them on demand."""
    lines = tuple(map(line, range(20)))
    first = RequestRows(lines, NO_FLAGS)
    first.prepare(["IFEval"])
    created = list[int]()

    class Counted(FuzzyNameIndex):
        def __init__(self, names: object) -> None:
            created.append(1)
            super().__init__(names)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "FuzzyNameIndex", Counted)
    plain, following = RequestRows(lines, NO_FLAGS), RequestRows(lines, NO_FLAGS, first)
    assert created == [1]
    assert following.near(parse("model-199")) == plain.near(parse("model-199")) != []
    assert created == [1, 1], "the plain rows built their index on demand"
    monkeypatch.setattr(RequestRows, "_key", None)
    assert following.in_order(range(20), "IFEval", rising=True)[0] == 0
    with pytest.raises(TypeError):
        plain.in_order(range(20), "IFEval", rising=True)


LINES = tuple(map(line, range(60)))
FLAGLESS = RequestRows(LINES, NO_FLAGS)


def test_a_flag_of_one_commit_covers_the_rows_of_that_commit_alone() -> None:
    """A flag on a commit or precision covers only its model's rows there, and no other model with the same weights."""
    rows = [replace(LINES[number], model="org/model", weights="w") for number in (1, 2)]
    for scope, flagged in (
        (FlagScope(revision=f"{2:040x}"), {1}),
        (FlagScope(precision="fp16"), {0, 1}),
        (FlagScope(precision="4bit"), set()),
    ):
        record = FlagRecord(model="Org/Model", status="flagged", category="other", scope=scope, weights="w")
        lines = (*rows, replace(LINES[3], weights="w"))
        assert RequestRows(lines, StandingFlags([record])).flagged == flagged


@given(
    st.sets(st.integers(0, 59)), st.sampled_from(["average", "time", "model", "IFEval", "parameters"]), st.booleans()
)
def test_few_rows_and_many_are_sorted_alike(found: set[int], sort: str, rising: bool) -> None:
    """Few rows are sorted in the same order as all rows."""
    whole = FLAGLESS.in_order(range(60), sort, rising=rising)
    assert FLAGLESS.in_order(found, sort, rising=rising) == [at for at in whole if at in found]


def test_names_are_found_among_all_and_among_some() -> None:
    """Names are found among all rows and among some, in the order of the rows."""
    query = parse("model-1")
    everything = FLAGLESS.find(query, FLAGLESS.of_state(""))
    assert everything == [1, *range(10, 20)]
    assert FLAGLESS.find(query, [*range(5, 12)]) == [10, 11]


@given(st.lists(st.text("model-/0123456789", min_size=1, max_size=3), max_size=6))
def test_names_that_many_have_are_found_as_rare_ones_are(names: list[str]) -> None:
    """Any names find the same rows through the index as through a plain loop."""
    query = Query(names=tuple(names))
    wanted = [at for at, request in enumerate(LINES) if query.finds(SearchRow(request.model, request.values))]
    assert FLAGLESS.find(query, FLAGLESS.of_state("")) == wanted


def test_answers_that_are_remembered_take_four_bytes_a_row() -> None:
    """Cached answers are limited in number and take about four bytes a row."""
    rows = RequestRows((), NO_FLAGS)
    many = 10_000
    answers = [rows.once(number, lambda: range(many)) for number in range(2 * MAX_CACHED)]
    assert list(answers[0]) == list(range(many))
    assert rows.once(2 * MAX_CACHED - 1, lambda: []) is answers[-1]
    assert sum(map(sys.getsizeof, rows._answers.values())) < 5 * many * MAX_CACHED
