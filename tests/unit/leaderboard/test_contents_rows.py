"""Which evaluations have a row in the aggregated table, and which rows stay in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from leaderboard.columns import ContentsRow
from leaderboard.contents import compile_rows, rows_of
from leaderboard.evaluations import (
    BoardSources,
    MeasuredResults,
    OtherSuiteResults,
    evaluations,
    is_results_path,
    measure,
    results_of_other_suite,
    slim,
)
from leaderboard.flags import FlagScope
from leaderboard.removals import archived
from leaderboard.results import dump
from tests.support.units.contents_sources import BOARD, OTHER, SHA, SUITE, flag, measured, one_row, request, sources


def test_a_model_whose_authors_opted_out_has_no_row() -> None:
    """A flag with the category `opt-out` removes the model's rows, also those of other programs."""
    with_opt_out = sources([request()], [measured()], [flag(category="opt-out")])
    assert compile_rows([one_row(request())], with_opt_out, {}, BOARD) == []


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({}, True),
        ({"status": "FINISHED_2023"}, True),
        ({"status": "PENDING_NEW_EVAL"}, True),
        ({"status": "RUNNING"}, False),
        ({"status": "CANCELLED"}, False),
        ({"status": "FAILED"}, False),
        ({"submitted_by": "x", "ci_run_id": "7"}, False),
        ({"status": "RUNNING", "steward": {"kept": {"revision": SHA, "results": measured().path}}}, True),
        ({"steward": {"results": measured().path}}, True),
        ({"steward": {"results": "acme/lion/results_lost.json"}}, False),
        ({"steward": {"access": "private"}}, False),
        ({"revision": OTHER}, False),
        ({"revision": "main"}, True),
    ],
)
def test_which_evaluations_are_shown(changes: dict[str, Any], shown: bool) -> None:
    """A finished request has a row, also during a newer evaluation; private models have none."""
    whole = request(**changes)
    for stored in (whole, slim(whole)):
        assert bool(evaluations(sources([stored], [measured()]))) is shown


def test_an_evaluation_uses_the_newest_results_of_its_precision() -> None:
    """All precisions of a model share a folder; an evaluation uses the newest results of its own precision."""
    results = [measured(day=1), measured(day=3), measured(day=2), measured(day=9, precision="4bit")]
    (evaluation,) = evaluations(sources([request()], results)).values()
    assert evaluation.measured.path == measured(day=3).path


def test_rows_of_others_stand_as_long_as_their_results_do() -> None:
    """The bot keeps a row of another program while its results exist and it is not cancelled, and follows renames."""
    theirs = {**one_row(request()), "Average ⬆️": 1.5, "Flagged": True, "theirs": 7}
    there = BoardSources({str(request().path): request()}, {}, {measured().path})
    assert compile_rows([theirs], there, {}, BOARD) == [theirs]
    flagless = BoardSources(there.requests, {}, there.results, [])
    assert compile_rows([theirs], flagless, {}, BOARD) == [{**theirs, "Flagged": False}]
    assert compile_rows([theirs], BoardSources(there.requests), {}, BOARD) == []
    cancelled = request(status="CANCELLED")
    assert (
        compile_rows([theirs], BoardSources({str(cancelled.path): cancelled}, {}, {measured().path}), {}, BOARD) == []
    )
    new = request("acme/lioness")
    (moved,) = compile_rows(
        [theirs], BoardSources({str(new.path): new}, {}, {measured("acme/lioness").path}), {}, BOARD
    )
    assert (moved["fullname"], moved["eval_name"]) == ("acme/lioness", "acme_lioness_bfloat16")
    assert "lioness</a>" in moved["Model"]
    assert (moved["Average ⬆️"], moved["theirs"]) == (1.5, 7)


def test_the_cost_that_others_measured_stays_with_their_results() -> None:
    """When the bot rewrites another program's row, it keeps the CO₂ cost, unless the row has other results by then."""
    noted = {**one_row(request()), "CO₂ cost (kg)": 1.5}
    assert compile_rows([noted], sources([request()], [measured()]), {}, BOARD) == [noted]
    ours = sources([request()], [measured(request=str(request().path))])
    newer = sources([request(revision=OTHER)], [measured(day=2, revision=OTHER)])
    for board_sources in (ours, newer):
        assert [row["CO₂ cost (kg)"] for row in compile_rows([noted], board_sources, {}, BOARD)] == [0.0]


def test_a_row_that_others_made_of_an_earlier_commit_stays_once() -> None:
    """Another program's row for an earlier commit is kept once, and is not flagged for the newer commit's weights."""
    earlier = {**one_row(request()), "Model sha": OTHER, "Average ⬆️": 11.0, "theirs": 7}
    newer, results = one_row(request()), [measured(day=1, revision=OTHER), measured(day=2)]
    both = sources([request()], results)
    assert compile_rows([earlier, newer, earlier], both, {}, BOARD) == [newer, earlier]
    assert compile_rows([earlier], both, {}, BOARD) == [newer, earlier], "the fields of the other program are kept"
    ours = MeasuredResults(results[1].path, results[1].scores, str(request().path), "bfloat16", SHA)
    named = request(steward={"results": ours.path, "revision": SHA, "weights": "c" * 64})
    flags = [flag("acme/other", weights="c" * 64)]
    rows = compile_rows([earlier, newer], sources([named], [results[0], ours], flags), {}, BOARD)
    assert [(row["Model sha"], row["Flagged"]) for row in rows] == [(SHA, True), (OTHER, False)]


def test_results_are_told_with_the_chat_template_that_they_were_made_with() -> None:
    """A resubmission with another chat template setting does not change the row of the existing results."""
    asked = str(request().path)
    first = measured(request=asked, revision=OTHER, chat_template=False)
    previous = {"revision": OTHER, "results": first.path}
    resubmitted = request(status="PENDING_NEW_EVAL", use_chat_template=True, steward={"kept": previous})
    (row,) = compile_rows((), sources([resubmitted], [first]), {}, BOARD)
    assert (row["Model sha"], row["Chat Template"]) == (OTHER, False)
    now = measured(day=2, request=asked, chat_template=True)
    resubmitted = request(use_chat_template=True, steward={"results": now.path})
    rows = compile_rows((), sources([resubmitted], [first, now]), {}, BOARD)
    assert [(row["Model sha"], row["Chat Template"]) for row in rows] == [(SHA, True), (OTHER, False)]


def test_a_commit_that_we_evaluated_keeps_its_row_beside_the_newer_one() -> None:
    """The row of an earlier commit has its newest results, its submission date from the table, and its own flag."""
    asked = str(request().path)
    first, again, now = (
        measured(day=day, score=day / 10, request=asked, revision=revision)
        for day, revision in ((1, OTHER), (2, OTHER), (3, SHA))
    )
    before = request(revision=OTHER, submitted_time="2026-01-01T00:00:00Z", steward={"results": first.path})
    resubmitted = request(revision=SHA, submitted_time="2026-01-03T00:00:00Z", steward={"results": now.path})
    (old,) = compile_rows((), sources([before], [first]), {}, BOARD)
    flags = [flag(scope=FlagScope(revision=OTHER))]
    more = [measured(day=9, request=asked, revision="c" * 40), measured("acme/tiger", request=asked, revision="c" * 40)]
    both = sources([resubmitted], [first, again, now, *more], flags)
    rows = compile_rows([{**old, "theirs": 7}], both, {}, BOARD)
    shown = [(row["Model sha"], row["Average ⬆️"], row["Submission Date"], row["Flagged"]) for row in rows]
    assert shown == [(SHA, 30.0, "2026-01-03", False), (OTHER, 20.0, "2026-01-01", True)]
    assert ["theirs" in row for row in rows] == [False, True]
    assert compile_rows(rows, both, {}, BOARD) == rows
    assert [row["Submission Date"] for row in compile_rows((), both, {}, BOARD)] == ["2026-01-03", None]
    assert [row["Model sha"] for row in compile_rows(rows, sources([resubmitted], [now]), {}, BOARD)] == [SHA]


def test_a_commit_that_we_evaluated_by_another_suite_keeps_its_row() -> None:
    """A row with results by another suite is kept, also renamed, if the commit has none by the board's suite."""
    asked, now = str(request().path), measured(day=3, request=str(request().path))
    named = request(steward={"results": now.path})
    row = {**one_row(request()), "Model sha": OTHER, "Average ⬆️": 20.0}
    former = OtherSuiteResults(measured().path, asked, OTHER)
    with_former = replace(sources([named], [now]), other_suites=[former])
    (newest,) = compile_rows([row], sources([named], [now]), {}, BOARD)
    assert compile_rows([row, newest, row], with_former, {}, BOARD) == [newest, row]
    others = OtherSuiteResults("acme/tiger/results_1.json", asked, OTHER)
    assert compile_rows([row], replace(with_former, other_suites=[others]), {}, BOARD) == [newest]
    both = replace(sources([named], [measured(day=2, request=asked, revision=OTHER), now]), other_suites=[former])
    assert [shown["Average ⬆️"] for shown in compile_rows([row], both, {}, BOARD)] == [50.0, 50.0]
    old_name = [{**each, "fullname": "acme/cub", "eval_name": "acme_cub_bfloat16"} for each in (row, newest)]
    assert compile_rows(old_name, with_former, {}, BOARD) == [newest, row]
    unread = replace(BoardSources({asked: named}, {}, {now.path}), other_suites=[former, replace(former, revision=SHA)])
    assert compile_rows(old_name, unread, {}, BOARD) == [newest, row]


def test_the_commit_of_results_by_another_suite_is_read_from_their_block() -> None:
    """The commit of results by another suite is read from their Steward block; other results files give none."""
    block = {
        "attempt": "0123456789ab-01234567-1",
        "request": str(request().path),
        "model": "acme/lion",
        "revision": OTHER,
        "precision": "bfloat16",
        "suite": "other",
        "suite_digest": "0" * 64,
        "started": "2026-01-01T00:00:00Z",
        "ended": "2026-01-01T00:01:00Z",
        "average": 1.0,
        "benchmarks": {},
    }
    path = measured().path
    data = dump({"results": {}, "steward": block})
    assert results_of_other_suite(path, data, SUITE) == OtherSuiteResults(path, str(request().path), OTHER)
    data = dump({"results": {}, "steward": {**block, "suite_digest": SUITE.digest}})
    assert results_of_other_suite(path, data, SUITE) is None
    assert results_of_other_suite(path, dump({"results": {}}), SUITE) is None


@pytest.mark.parametrize(
    ("earlier", "results"),
    [
        ({"Model sha": OTHER}, []),
        ({"Model sha": OTHER}, [measured(revision=OTHER, precision="4bit")]),
        ({"Model sha": "main"}, [measured(revision="main")]),
        ({"Model sha": ""}, [measured(revision="")]),
        ({}, [measured()]),
    ],
)
def test_the_newest_evaluation_takes_the_place_of_all_other_rows(
    earlier: ContentsRow, results: list[MeasuredResults]
) -> None:
    """The newest evaluation replaces rows without results, with another precision, or of a possibly equal commit."""
    row = {**one_row(request()), "Average ⬆️": 11.0, **earlier}
    board_sources = sources([request()], [*results, measured(day=2)])
    assert compile_rows([row], board_sources, {}, BOARD) == [one_row(request())]
    assert rows_of(evaluations(board_sources), [row]) == ([] if earlier == {"Model sha": OTHER} else [row])


def test_results_of_other_suites_and_broken_ones_make_no_row() -> None:
    """Results without the suite's scores give no measurement; archived files and tables are not taken for results."""
    assert measure("a/b/results_1.json", b'{"results": {}}', SUITE) is None
    assert measure("a/b/results_1.json", b'{"steward": 1, "results"', SUITE) is None
    assert is_results_path("a/b/results_1.json")
    assert not is_results_path(".steward/archive/a/b/results_1.json")
    assert not is_results_path(archived("a/b/results_1.json"))
    assert not is_results_path("a/b/table.md")
