"""The snapshot of the leaderboard in the table's repo equals the API's data and follows every change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from huggingface_hub import CommitOperationAdd

from bot.core.mirrors.contents_table import ContentsCache
from bot.probe import Probe
from bot.results.scores import _first, _standing
from bot.results.searching import find
from bot.web.board import BoardReader
from bot.web.leaderboard_view import LeaderboardQuery, columns_of, leaderboard
from leaderboard.columns import FILE, SNAPSHOT
from leaderboard.flags import StandingFlags
from leaderboard.suites import Suite
from tests.support.board.contents_table import CONTENTS, GOOD, board_with_table, commits, finished, look
from tests.support.board.flags import AppealThread, FlagBoardDriver
from tests.support.board.queued_requests import path_of


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board with a flags repo and an aggregated table."""
    with board_with_table(tmp_path, connection, probe) as driver:
        yield driver


def snapshot(stand: FlagBoardDriver) -> dict[str, Any]:
    """The snapshot as a page downloads it."""
    folder = stand.hub.state.data / "downloads"
    path = stand.form.hf_hub_download(CONTENTS, SNAPSHOT, repo_type="dataset", local_dir=folder, force_download=True)
    loaded: dict[str, Any] = json.loads(Path(path).read_text("utf-8"))
    return loaded


def rows_in(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a snapshot."""

    def values(column: Any) -> list[Any]:
        return column if isinstance(column, list) else [column["of"][at] for at in column["at"]]

    columns = document["rows"]
    nested = {
        name: {key: values(nested_column) for key, nested_column in columns[name].items()}
        for name in ("scores", "raw", "errors")
    }
    flat = {name: values(column) for name, column in columns.items() if name not in nested}
    return [
        {name: column[at] for name, column in flat.items()}
        | {
            name: {key: nested_column[at] for key, nested_column in part.items() if nested_column[at] is not None}
            for name, part in nested.items()
        }
        for at in range(len(flat["id"]))
    ]


def test_it_says_what_the_api_says(stand: FlagBoardDriver) -> None:
    """The snapshot has the API's rows, raw scores, columns and links, and is committed once, with the table."""
    finished(stand)
    finished(stand, "ada/plain")
    look(stand)
    document, board = snapshot(stand), BoardReader(stand.context)
    assert document["title"] == stand.context.board.title
    assert document["columns"] == [column.model_dump() for column in columns_of(board)]
    assert document["links"]["table"] == f"{stand.hub.url}/datasets/{CONTENTS}/resolve/main/{FILE}"
    views = [view.model_dump(mode="json") for view in leaderboard(board, LeaderboardQuery()).rows]
    raw = [view.scores for view in leaderboard(board, LeaderboardQuery(raw=True)).rows]
    rows = {row["id"]: row for row in rows_in(document)}
    assert len(views) == len(rows) == 2
    for view, measured in zip(views, raw, strict=True):
        row = rows[view["id"]]
        assert {name: value for name, value in view.items() if name != "rank"} == {
            name: row[name] for name in view if name != "rank"
        }
        assert row["raw"] == measured and measured
        assert row["status"] == "FINISHED"
    (written,) = [
        commit
        for commit in stand.form.list_repo_commits(CONTENTS, repo_type="dataset")
        if "Write the snapshot" in commit.title + commit.message
    ]
    assert "Write the table" in written.title + written.message
    before = commits(stand)
    look(stand)
    stand.context.contents_memory = ContentsCache()
    look(stand)
    assert commits(stand) == before


@pytest.mark.long("three seconds of a processor")
def test_it_follows_flags_removals_and_other_peoples_edits(stand: FlagBoardDriver) -> None:
    """The snapshot marks flagged rows, drops a removed model, and overwrites an edit by another account."""
    finished(stand)
    finished(stand, "ada/plain")
    look(stand)
    thread = AppealThread(stand, f"[FLAG] {GOOD}", "It is not what it says.")
    thread.say("/flag other it is not", stand.form)
    look(stand)
    assert {row["model"]: row["flagged"] for row in rows_in(snapshot(stand))} == {GOOD: True, "ada/plain": False}
    thread.say("/unflag it is", stand.form)
    look(stand)
    assert [row["flagged"] for row in rows_in(snapshot(stand))] == [False, False]
    operations = [CommitOperationAdd(SNAPSHOT, b"{}")]
    stand.form.create_commit(CONTENTS, operations, commit_message="Empty it", repo_type="dataset")
    stand.context.mark("contents")
    look(stand)
    assert len(rows_in(snapshot(stand))) == 2
    thread.say(f"/remove {GOOD} the weights were wrong", stand.form)
    look(stand)
    assert [row["model"] for row in rows_in(snapshot(stand))] == ["ada/plain"]


@pytest.mark.long("several evaluations on a board; the kept tests of this file have others")
def test_a_flag_of_one_precision_hides_that_evaluation_alone(stand: FlagBoardDriver) -> None:
    """A flag of one precision, and its end, apply to that row alone in pages, API, search, ranks and snapshot."""
    context = stand.context
    context.board = context.board.model_copy(update={"precisions": ("float32", "float16")})
    paths = [finished(stand), finished(stand, path=path_of("float16"), precision="float16")]
    look(stand)
    board, (first, second) = BoardReader(context), (context.scores.find([path])[path] for path in paths)
    thread = AppealThread(stand, f"[FLAG] {GOOD}", "Its float32 knows the questions.")
    for command, flagged in (
        ("/flag contamination precision=float32 it knows the questions", True),
        ("/unflag it does not", False),
    ):
        thread.say(command, stand.form)
        shown = [view.precision for view in leaderboard(board, LeaderboardQuery()).rows]
        assert sorted(shown) == (["float16"] if flagged else ["float16", "float32"])
        requests = board.table.rows()
        assert [requests.at(path) in requests.flagged for path in paths] == [flagged, False]
        assert [hit.entry.path for hit in find(context, "good; flagged: yes", limit=9).hits] == paths[: int(flagged)]
        flags = StandingFlags(context.flag_book.records())
        better = second.model_copy(update={"average": 0.0})
        assert _standing(context, [first, better], better, flags)[1] == (1 if flagged else 2)
        assert _first(context, [first, second], flags) == (second if flagged else first)
        look(stand)
        views = {row["precision"]: row["flagged"] for row in rows_in(snapshot(stand))}
        assert views == {"float32": flagged, "float16": False}


@pytest.mark.long("two seconds of a processor")
def test_after_a_change_of_the_suite_an_evaluation_is_shown_once(stand: FlagBoardDriver) -> None:
    """After a new suite version an evaluation has one row with its score and facts, also after Redis was lost."""
    context, path = stand.context, finished(stand)
    look(stand)
    (before,) = leaderboard(BoardReader(context), LeaderboardQuery()).rows
    assert before.uploaded and before.id == path
    context.suite = Suite.model_validate({**context.suite.model_dump(), "version": context.suite.version + 1})
    context.contents_memory = ContentsCache()
    stand.time += 900
    look(stand)
    (view,) = leaderboard(BoardReader(context), LeaderboardQuery()).rows
    assert view == before
    assert [(row["id"], row["average"]) for row in rows_in(snapshot(stand))] == [(path, before.average)]
    context.redis.flushall()
    context.contents_memory = ContentsCache()
    look(stand, rounds=5)
    (view,) = leaderboard(BoardReader(context), LeaderboardQuery()).rows
    assert (view.model, view.average, view.uploaded) == (before.model, before.average, before.uploaded)
    assert [row["id"] for row in rows_in(snapshot(stand))] == [view.id]


@pytest.mark.long("several evaluations on a board; the kept tests of this file have others")
def test_a_model_whose_authors_opted_out_leaves_the_leaderboard(stand: FlagBoardDriver) -> None:
    """A model with an opt-out is in neither the leaderboard nor the snapshot until the opt-out is lifted."""
    finished(stand)
    finished(stand, "ada/plain")
    look(stand)
    thread = AppealThread(stand, f"[FLAG] {GOOD}", "Please take my model off.")
    thread.say(f"/flag opt-out {GOOD} its author asked for it", stand.form)
    look(stand)
    board = BoardReader(stand.context)
    assert [view.model for view in leaderboard(board, LeaderboardQuery(flagged=True)).rows] == ["ada/plain"]
    assert [row["model"] for row in rows_in(snapshot(stand))] == ["ada/plain"]
    thread.say(f"/unflag {GOOD} its author came back", stand.form)
    look(stand)
    assert {row.model for row in leaderboard(BoardReader(stand.context), LeaderboardQuery()).rows} == {
        GOOD,
        "ada/plain",
    }


@pytest.mark.long("several evaluations on a board; the kept tests of this file have others")
def test_it_waits_for_the_scores_after_redis_was_lost(stand: FlagBoardDriver) -> None:
    """After Redis was lost, the bot commits no other snapshot, and the file stays the same."""
    card = b"---\nlicense: mit\n---\n# It\n"
    stand.ada.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=GOOD)
    finished(stand, submitted_time="2026-01-31T12:00:00Z")
    look(stand)
    document, before = snapshot(stand), commits(stand)
    assert [row["licence"] for row in rows_in(document)] == ["mit"]
    stand.context.redis.flushall()
    stand.context.contents_memory = ContentsCache()
    look(stand, rounds=5)
    assert (snapshot(stand), commits(stand)) == (document, before)
