"""The aggregated table in shadow mode, with rows and columns of others, and in `init`, the sync process and doctor."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from bot.core.mirrors import contents_table as tables
from bot.core.mirrors.contents_table import ContentsCache, read_table, write_table
from bot.core.settings import BotSettings, SettingsError
from bot.processes.sync_process import open_board_context
from bot.results import scoreboard
from bot.results.searching import find
from bot.setup.consistency import disagreements
from bot.setup.doctor import examine
from hub.client import Hub
from leaderboard.boards import parse_board
from leaderboard.columns import FILE, columns
from leaderboard.effects import Effect, EffectMode, Effects
from steward.board_setup import steps
from steward.testing.board import BOARD, BOT, WORKER
from tests.support.board.contents_table import (
    CONTENTS,
    GOOD,
    commits,
    data,
    finished,
    look,
    names,
    stand_with_table,
    table,
)
from tests.support.board.flags import FLAGS, AppealThread, FlagBoardDriver

stand = stand_with_table


def test_in_shadow_nothing_is_written(stand: FlagBoardDriver) -> None:
    """In shadow mode the bot lists the table's write instead of making it; with effects on, it writes the row."""
    finished(stand)
    stand.context.board = stand.context.board.model_copy(
        update={"effects": Effects(modes=dict.fromkeys(Effect, EffectMode.SHADOW))}
    )
    before = commits(stand)
    look(stand)
    assert commits(stand) == before
    assert any(write.path == FILE for write in stand.context.effects.shadow.read().things)
    stand.context.board = stand.context.board.model_copy(
        update={"effects": Effects(modes=dict.fromkeys(Effect, EffectMode.ON))}
    )
    look(stand)
    assert names(stand) == [GOOD]


@pytest.mark.long("four seconds of processor time")
def test_planted_disagreements_are_found(stand: FlagBoardDriver) -> None:
    """The checker finds missing, orphaned, doubled and wrong rows of the table, and the next sync repairs them."""
    finished(stand)
    finished(stand, "ada/plain")
    finished(stand, "ada/loud")
    look(stand)
    shape = columns(stand.context.suite)
    rows = [dict(row) for row in read_table(data(stand), "", shape).rows]
    good, loud, plain = rows
    planted = [
        {**good, "Flagged": True},
        {**plain, "Average ⬆️": 99.0},
        {**plain, "Average ⬆️": 99.0},
        {**loud, "fullname": "ada/ghost"},
    ]
    operations = [CommitOperationAdd(FILE, write_table(planted, shape, {}))]
    stand.form.create_commit(CONTENTS, operations, commit_message="Plant", repo_type="dataset")
    assert {disagreement.what: disagreement.words.split()[0] for disagreement in disagreements(stand.context)} == {
        "contents-missing": "ada/loud",
        "contents-without-result": "ada/ghost",
        "contents-flagged": "ada/good",
        "contents-score": "ada/plain",
        "contents-twice": "1",
    }
    look(stand)
    assert disagreements(stand.context) == []


@pytest.mark.long("four seconds of processor time")
def test_columns_of_others_are_kept(stand: FlagBoardDriver) -> None:
    """A column that the bot does not know keeps its values, also in a row that the bot writes again."""
    finished(stand)
    look(stand)
    shape = columns(stand.context.suite)
    rows = [dict(row) for row in read_table(data(stand), "", shape).rows]
    shown = pq.read_table(io.BytesIO(write_table(rows, shape, {})))
    more = shown.append_column("votes", [[7]])
    into = io.BytesIO()
    pq.write_table(more, into)
    operations = [CommitOperationAdd(FILE, into.getvalue())]
    stand.form.create_commit(CONTENTS, operations, commit_message="Add votes", repo_type="dataset")
    AppealThread(stand, f"[FLAG] {GOOD}", "It is not what it says.").say("/flag other it is not", stand.form)
    look(stand)
    shown = table(stand)
    assert (list(shown.columns)[-1], list(shown["votes"]), list(shown["Flagged"])) == ("votes", [7], [True])


def test_init_makes_the_repo_with_a_card_that_loaders_read(stand: FlagBoardDriver) -> None:
    """`init` creates the table's dataset that the board file names, with config and split in its card."""
    org = HfApi(stand.hub.url, token=BOT)
    board = parse_board(BOARD.replace("results: board/results", "results: board/results, contents: board/fresh"))
    bot_hub = Hub(stand.hub.url, BOT)
    lines = list(steps(bot_hub, board, url="http://127.0.0.1:1/webhooks/hub", secret="s", apply=True))
    assert any("Created the dataset board/fresh" in line for line in lines)
    card = Path(org.hf_hub_download("board/fresh", "README.md", repo_type="dataset")).read_text("utf-8")
    assert "config_name: default" in card
    assert "split: train" in card
    bot_hub.close()


def test_without_the_library_the_sync_process_does_not_start(
    stand: FlagBoardDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the parquet library, the sync process of a board with a table stops and names the package to install."""
    monkeypatch.setattr(tables, "can_write", lambda: False)
    monkeypatch.setattr("bot.processes.sync_process.can_write", lambda: False)
    file = tmp_path / "board.yaml"
    file.write_text(BOARD.replace("results: board/results", "results: board/results, contents: board/contents"))
    with pytest.raises(SettingsError, match=r"'steward-leaderboard\[contents\]'"):
        open_board_context(BotSettings(board=file))


def test_the_doctor_looks_at_the_repo(stand: FlagBoardDriver) -> None:
    """The doctor checks that the worker's token cannot write to the table's repo."""
    with Hub(stand.hub.url, WORKER) as worker:
        checks = examine(stand.context, worker=worker)
    assert f"It may not write to {CONTENTS}." in [check.words for check in checks if check.name == "worker token"]
    assert FLAGS in "".join(check.words for check in checks if check.name == "repos")


def test_licences_that_the_table_has_are_not_asked_for_again(
    stand: FlagBoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After Redis was lost, scores and the table's licences come back, and the bot reads no model for its licence."""
    card = b"---\nlicense: mit\n---\n# It\n"
    stand.ada.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=GOOD)
    path = finished(stand)
    look(stand)
    before = stand.context.scores.all()
    stand.context.redis.flushall()
    stand.context.contents_memory = ContentsCache()
    asked = list[str]()
    monkeypatch.setattr(scoreboard, "read_model", lambda _, model, known: asked.append(model) or known)
    look(stand, rounds=4)
    assert (asked, stand.context.scores.all()) == ([], before)
    (hit,) = find(stand.context, "good; Hub License: mit", limit=5).hits
    assert (hit.entry.path, hit.average) == (path, before[0].average)


@pytest.mark.long("a second of a processor")
def test_a_row_of_an_earlier_commit_that_others_evaluated_stays(stand: FlagBoardDriver) -> None:
    """The bot keeps a row of another evaluator for an earlier commit, with its facts, beside its own row."""
    path = finished(stand)
    look(stand)
    results = json.loads(
        stand.context.hub.read_file(stand.context.results, stand.file(path)["steward"]["results"]).data
    )
    config = {"model_dtype": "torch.float32", "model_sha": "e" * 40}
    theirs = json.dumps({"results": results["results"], "config": config}).encode()
    operations = [CommitOperationAdd(f"{GOOD}/results_2024-01-01T00-00-00.000000.json", theirs)]
    stand.form.create_commit("board/results", operations, commit_message="Theirs", repo_type="dataset")
    shape = columns(stand.context.suite)
    (ours,) = (dict(row) for row in read_table(data(stand), "", shape).rows)
    earlier = {**ours, "Model sha": "e" * 40, "Average ⬆️": 11.0, "Hub ❤️": 99}
    operations = [CommitOperationAdd(FILE, write_table([earlier, ours], shape, {}))]
    stand.form.create_commit(CONTENTS, operations, commit_message="Theirs", repo_type="dataset")
    look(stand)
    before = commits(stand)
    stand.context.contents_memory = ContentsCache()
    look(stand)
    shown = table(stand)
    assert list(shown["Model sha"]) == [ours["Model sha"], "e" * 40]
    assert (list(shown["Average ⬆️"]), list(shown["Hub ❤️"])) == ([ours["Average ⬆️"], 11.0], [0, 99])
    assert (commits(stand), disagreements(stand.context)) == (before, [])
