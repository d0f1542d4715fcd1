"""The aggregated table of a running board follows results, flags, removals, restorations and renames.

Tests that leave the board as they found it share one. `make long` runs all tests, `make test` most.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from huggingface_hub import CommitOperationAdd

from bot.core.context import BoardContext
from bot.core.mirrors.contents_table import ContentsCache
from bot.probe import Probe
from bot.results import contents as sync
from bot.setup.consistency import disagreements
from bot.web.board import BoardReader
from bot.web.leaderboard_view import LeaderboardQuery, leaderboard
from leaderboard.attempts import number_in
from leaderboard.columns import FILE, columns
from leaderboard.contents_row import HubModelInfo
from leaderboard.suites import Suite
from tests.support.board.contents_table import (
    CONTENTS,
    GOOD,
    board_with_table,
    commits,
    data,
    finished,
    look,
    names,
    stand_with_table,
    table,
)
from tests.support.board.flags import AppealThread, FlagBoardDriver
from tests.support.board.published_details import publish

stand = stand_with_table


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, lasting_redis: redis.Redis, probe: Probe
) -> Iterator[FlagBoardDriver]:
    """A board whose table has a row: one evaluation is published."""
    with board_with_table(tmp_path_factory.mktemp("shared"), lasting_redis, probe) as driver:
        finished(driver)
        look(driver)
        yield driver


def test_a_published_evaluation_becomes_a_row(shared: FlagBoardDriver) -> None:
    """pandas reads the row with the suite's columns, types and values; a sync without changes commits nothing."""
    stand = shared
    (path,) = (entry.path for entry in stand.context.index.of_model(GOOD))
    frame = table(stand)
    suite = stand.context.suite
    assert list(frame.columns) == [column.name for column in columns(suite)]
    row: dict[str, Any] = frame.iloc[0].to_dict()
    results = json.loads(
        stand.context.hub.read_file(stand.context.results, stand.file(path)["steward"]["results"]).data
    )
    assert (len(frame), row["fullname"], row["eval_name"]) == (1, GOOD, "ada_good_float32")
    assert row["Average ⬆️"] == results["steward"]["average"]
    assert row[suite.benchmarks[0].name] == results["steward"]["benchmarks"][suite.benchmarks[0].name]
    assert row["Model sha"] == results["steward"]["revision"]
    assert (row["Available on the hub"], row["Flagged"], row["Architecture"]) == (True, False, "GPT2LMHeadModel")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["Upload To Hub Date"])
    types = {str(frame[name].dtype) for name in ("Flagged", "Merged", "MoE", "Chat Template", "Official Providers")}
    assert (types, str(frame["Hub ❤️"].dtype), str(frame["Average ⬆️"].dtype)) == ({"bool"}, "int64", "float64")
    assert disagreements(stand.context) == []
    before = commits(stand)
    look(stand)
    assert commits(stand) == before


def test_a_round_in_which_nothing_changed_costs_three_calls(shared: FlagBoardDriver) -> None:
    """A sync of the table makes three Hub calls if nothing changed."""
    for seconds in (60, 1):
        shared.calls.clear()
        shared.time += seconds
        shared.context.mark(sync.CONTENTS)
        shared.work()
    assert len(shared.calls) == 3


def test_a_table_that_takes_long_is_not_compiled_at_once_again(
    shared: FlagBoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a pass that took ten seconds, the process compiles the table again only fifty seconds later."""
    memory, compile_table, compiled = shared.context.contents_memory, sync._compile, []

    def slow(*args: Any) -> float | None:
        compiled.append(shared.time)
        shared.time += 10
        return compile_table(*args)

    monkeypatch.setattr(sync, "_compile", slow)
    for seconds in (300, 49, 2):
        shared.time += seconds
        memory.seen = ()
        shared.context.mark(sync.CONTENTS)
        shared.work()
    assert [later - compiled[0] for later in compiled] == [0, 61]


def test_many_changes_make_one_commit(stand: FlagBoardDriver) -> None:
    """Two evaluations and a flag between two syncs of the table reach it in one commit."""
    contents, stand.context.contents = stand.context.contents, None  # the table is not synced meanwhile
    finished(stand)
    finished(stand, "ada/plain")
    AppealThread(stand, "[FLAG] ada/plain", "It is not what it says.").say("/flag other it is not", stand.form)
    stand.context.contents = contents
    before = commits(stand)
    look(stand)
    assert (names(stand), commits(stand) - before) == (["ada/good", "ada/plain"], 1)
    assert list(table(stand)["Flagged"]) == [False, True]


def test_a_flag_and_its_end_are_told(shared: FlagBoardDriver) -> None:
    """The table's column `Flagged` is true while a model is flagged, and false after the flag is lifted."""
    stand = shared
    case = AppealThread(stand, f"[FLAG] {GOOD}", "It knows the questions.")
    case.say("/flag contamination it knows the questions", stand.form)
    look(stand)
    assert list(table(stand)["Flagged"]) == [True]
    assert disagreements(stand.context) == []
    case.say("/unflag it does not", stand.form)
    look(stand)
    assert list(table(stand)["Flagged"]) == [False]
    assert disagreements(stand.context) == []


def test_a_removal_takes_the_row_and_a_restoration_brings_it_back(shared: FlagBoardDriver) -> None:
    """Removal deletes a model's row; restoration makes the whole table and the scores what they were, byte for byte."""
    stand = shared
    before, scores = data(stand), stand.context.scores.all()
    talk = AppealThread(stand, "My model", "Hello.")
    talk.say(f"/remove {GOOD} the weights were wrong", stand.form)
    look(stand)
    assert names(stand) == []
    assert disagreements(stand.context) == []
    talk.say(f"/restore {GOOD}", stand.form)
    look(stand)
    assert (data(stand), stand.context.scores.all()) == (before, scores)
    assert disagreements(stand.context) == []


def test_a_renamed_model_keeps_its_row_under_the_new_name(stand: FlagBoardDriver) -> None:
    """After an approved rename, the table and the scores have the model under its new name."""
    finished(stand)
    look(stand)
    stand.ada.move_repo(GOOD, "ada/better")
    talk = AppealThread(stand, "Rename", "Hello.", stand.ada)
    talk.say(f"/rename {GOOD} ada/better", stand.ada)
    approval = re.search(r"/approve ([0-9a-f]{8})", "\n".join(talk.replies()))
    assert approval is not None
    talk.say(f"/approve {approval[1]}", stand.form)
    look(stand)
    assert names(stand) == ["ada/better"]
    assert "ada/better" in table(stand)["Model"][0]
    (scored,) = stand.context.scores.all()
    assert (scored.model, scored.average) == ("ada/better", table(stand)["Average ⬆️"][0])
    assert disagreements(stand.context) == []


@pytest.mark.long("two seconds of a processor")
def test_an_earlier_commit_keeps_its_row_after_a_change_of_the_suite(stand: FlagBoardDriver) -> None:
    """After a new commit is evaluated with a newer suite, both commits have a row in the table and on the page."""
    context, path = stand.context, finished(stand)
    look(stand)
    (earlier,) = table(stand)["Model sha"]
    context.suite = Suite.model_validate({**context.suite.model_dump(), "version": context.suite.version + 1})
    context.contents_memory = ContentsCache()
    stand.ada.upload_file(path_or_fileobj=b"more", path_in_repo="more.txt", repo_id=GOOD)
    job = stand.started(path=path, submitted_time="2026-11-25T00:00:00Z")
    stand.end(job, details=publish(stand.hub.url, job, context.suite, number=number_in(job.attempt)))
    look(stand)
    assert list(table(stand)["Model sha"]) == [job.revision, earlier]
    assert disagreements(context) == []
    shown = {row.revision: row.id for row in leaderboard(BoardReader(context), LeaderboardQuery()).rows}
    assert shown == {job.revision: path, earlier: f"{path}@{earlier}"}


def test_the_table_outlives_redis_and_processes(stand: FlagBoardDriver) -> None:
    """Without Redis and memory, the bot commits no unchanged table; it writes a damaged table again."""
    finished(stand, submitted_time="2026-01-31T12:00:00Z")
    look(stand)
    before, good = commits(stand), data(stand)
    stand.context.redis.flushall()
    stand.context.contents_memory = ContentsCache()
    look(stand)
    assert (commits(stand), data(stand)) == (before, good)
    operations = [CommitOperationAdd(FILE, b"not a table")]
    stand.form.create_commit(CONTENTS, operations, commit_message="Break", repo_type="dataset")
    assert "contents-unreadable" in {disagreement.what for disagreement in disagreements(stand.context)}
    look(stand)
    assert data(stand) == good


@pytest.mark.long("two seconds of a processor")
def test_two_processes_that_were_told_different_things_do_not_write_in_turns(stand: FlagBoardDriver) -> None:
    """Two processes with different knowledge of a model do not rewrite the table in turns."""
    finished(stand)
    look(stand)
    first = stand.context.contents_memory
    stand.ada.delete_repo(GOOD)
    stand.context.contents_memory = second = ContentsCache(looked={GOOD: stand.time - 2 * sync.DAY})
    look(stand)
    assert list(table(stand)["Available on the hub"]) == [False]
    before = commits(stand)
    for memory in (first, second, first):
        stand.context.contents_memory = memory
        look(stand)
    assert commits(stand) == before
    assert list(table(stand)["Available on the hub"]) == [False]


@pytest.mark.long("the next test, and that of two processes, have a model that is gone")
def test_a_model_that_is_gone_is_told_as_gone(stand: FlagBoardDriver) -> None:
    """A day after a model was deleted, its row says that it is not available and keeps its other values."""
    finished(stand)
    look(stand)
    assert list(table(stand)["Available on the hub"]) == [True]
    before = table(stand)["Architecture"][0]
    stand.ada.delete_repo(GOOD)
    stand.time += sync.DAY
    look(stand)
    assert list(table(stand)["Available on the hub"]) == [False]
    assert table(stand)["Architecture"][0] == before


@pytest.mark.long("the test of two processes has a model that is not available")
@pytest.mark.parametrize(
    ("status", "error", "available"),
    [(403, "Access to this resource is disabled.", False), (413, "Too large", True)],
)
def test_a_model_of_which_nothing_can_be_learned_keeps_no_other_from_the_table(
    stand: FlagBoardDriver, status: int, error: str, available: bool
) -> None:
    """A model that the Hub disabled, or that is too large to read, keeps its row, and the next model gets one."""
    finished(stand)
    look(stand)
    stand.hub.state.faults.fail(f"GET /api/models/{GOOD}/*", status=status, error=error, times=None)
    finished(stand, "ada/plain")
    stand.time += sync.DAY
    look(stand)
    rows = table(stand)
    assert dict(zip(rows["fullname"], rows["Available on the hub"], strict=True)) == {
        GOOD: available,
        "ada/plain": True,
    }


@pytest.mark.long("two evaluations; the others have all rows at once")
def test_a_few_models_are_asked_about_at_a_time(stand: FlagBoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a limit of one model a pass, each pass asks the Hub about one model, and the table gets both rows."""
    monkeypatch.setattr(sync, "MAX_MODELS", 1)
    compile_table, look_at_model, passes = sync._compile, sync.look_at_model, list[list[str]]()

    def compile_next(*args: Any) -> float | None:
        passes.append([])
        return compile_table(*args)

    def look_at(context: BoardContext, model: str, before: HubModelInfo) -> HubModelInfo:
        passes[-1].append(model)
        return look_at_model(context, model, before)

    monkeypatch.setattr(sync, "_compile", compile_next)
    monkeypatch.setattr(sync, "look_at_model", look_at)
    contents, stand.context.contents = stand.context.contents, None  # no pass between the two evaluations
    finished(stand)
    finished(stand, "ada/plain")
    stand.context.contents = contents
    look(stand)
    assert [models for models in passes if models] == [["ada/good"], ["ada/plain"]]
    assert names(stand) == ["ada/good", "ada/plain"]
