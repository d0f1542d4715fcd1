"""The aggregated table on a board that runs: in step with what is published, flagged, removed, restored and renamed."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import redis
from bot_kit import BOARD
from flags_kit import FLAGS, FlagStand, Hearing, flags_world
from huggingface_hub import CommitOperationAdd, HfApi
from published_kit import publish
from stand_kit import BOT, WORKER

from bot.doctor import examine
from bot.mirrors import contents as tables
from bot.mirrors.consistency import disagreements
from bot.mirrors.contents import Memory, read_table, write_table
from bot.probe import Probe
from bot.settings import BotSettings, SettingsError
from bot.state.searching import find
from bot.sync.board import contents as sync
from bot.sync.board import scoreboard
from bot.sync.process import open_desk
from hub.client import Hub
from leaderboard.boards import parse_board
from leaderboard.columns import FILE, columns
from leaderboard.effects import Effect, Effects, Mode
from localhub.testing import LocalHub
from steward.commands.init import steps

CONTENTS = "board/contents"
GOOD = "ada/good"


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[FlagStand]:
    """A board with flags and a table."""
    world = flags_world()
    world["repos"].append({"type": "dataset", "id": CONTENTS})
    with LocalHub(tmp_path, world) as hub:
        made = FlagStand(hub, connection, probe)
        with_table(made)
        yield made
        made.desk.hub.close()


def with_table(stand: FlagStand) -> None:
    """The board names a repo for its table."""
    from hub.records import Repo

    repos = stand.desk.board.repos.model_copy(update={"contents": CONTENTS})
    stand.desk.board = stand.desk.board.model_copy(update={"repos": repos})
    stand.desk.contents = Repo("dataset", CONTENTS)


def finished(stand: FlagStand, model: str = GOOD) -> str:
    """The request of a model that was evaluated."""
    job = stand.started(model)
    stand.end(job, details=publish(stand.hub.url, job, stand.desk.suite))
    return job.path


def look(stand: FlagStand, rounds: int = 3) -> list[tuple[str, str]]:
    """A few rounds later; the calls of the last one."""
    for _ in range(rounds):
        before = len(stand.calls)
        stand.time += 300
        stand.tick()
        stand.work()
    return stand.calls[before:]


def data(stand: FlagStand) -> bytes:
    """The table's bytes, as anybody downloads them."""
    path = HfApi(stand.hub.url, token=BOT).hf_hub_download(
        CONTENTS, FILE, repo_type="dataset", local_dir=stand.hub.box.data / "downloads", force_download=True
    )
    return Path(path).read_bytes()


def table(stand: FlagStand) -> pd.DataFrame:
    """The table, as a notebook reads it."""
    return pd.read_parquet(io.BytesIO(data(stand)))


def names(stand: FlagStand) -> list[str]:
    """The models with a row."""
    return [str(name) for name in table(stand)["fullname"]]


def commits(stand: FlagStand) -> int:
    """How many commits the table's repo has."""
    return len(stand.form.list_repo_commits(CONTENTS, repo_type="dataset"))


def test_a_published_evaluation_becomes_a_row(stand: FlagStand) -> None:
    """pandas reads the exact columns, types and values; nothing is committed once nothing changes."""
    path = finished(stand)
    look(stand)
    found = table(stand)
    suite = stand.desk.suite
    assert list(found.columns) == [column.name for column in columns(suite)]
    row: dict[str, Any] = found.iloc[0].to_dict()
    results = json.loads(stand.desk.hub.read_file(stand.desk.results, stand.file(path)["steward"]["results"]).data)
    assert (len(found), row["fullname"], row["eval_name"]) == (1, GOOD, "ada_good_float32")
    assert row["Average ⬆️"] == results["steward"]["average"]
    assert row[suite.benchmarks[0].name] == results["steward"]["benchmarks"][suite.benchmarks[0].name]
    assert row["Model sha"] == results["steward"]["revision"]
    assert (row["Available on the hub"], row["Flagged"], row["Architecture"]) == (True, False, "GPT2LMHeadModel")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", row["Upload To Hub Date"])
    types = {str(found[name].dtype) for name in ("Flagged", "Merged", "MoE", "Chat Template", "Official Providers")}
    assert (types, str(found["Hub ❤️"].dtype), str(found["Average ⬆️"].dtype)) == ({"bool"}, "int64", "float64")
    assert disagreements(stand.desk) == []
    before = commits(stand)
    look(stand)
    assert commits(stand) == before


def test_a_round_in_which_nothing_changed_costs_three_calls(stand: FlagStand) -> None:
    """However many rows there are."""
    finished(stand)
    look(stand)
    stand.calls.clear()
    stand.time += 1
    stand.desk.mark(sync.CONTENTS)
    stand.work()
    assert len(stand.calls) == 3


def test_many_changes_make_one_commit(stand: FlagStand) -> None:
    """Two evaluations and a flag between two looks: one commit."""
    finished(stand)
    finished(stand, "ada/plain")
    Hearing(stand, "[FLAG] ada/plain", "It is not what it says.").say("/flag other it is not", stand.form)
    stand.desk.redis.delete(stand.desk.keys.dirty)
    before = commits(stand)
    look(stand)
    assert (names(stand), commits(stand) - before <= 1) == (["ada/good", "ada/plain"], True)
    assert list(table(stand)["Flagged"]) == [False, True]


def test_a_flag_and_its_end_are_told(stand: FlagStand) -> None:
    """Flagged is true from the flag to its end."""
    finished(stand)
    look(stand)
    case = Hearing(stand, f"[FLAG] {GOOD}", "It knows the questions.")
    case.say("/flag contamination it knows the questions", stand.form)
    look(stand)
    assert list(table(stand)["Flagged"]) == [True]
    assert disagreements(stand.desk) == []
    case.say("/unflag it does not", stand.form)
    look(stand)
    assert list(table(stand)["Flagged"]) == [False]
    assert disagreements(stand.desk) == []


def test_a_removal_takes_the_row_and_a_restoration_brings_it_back(stand: FlagStand) -> None:
    """The same row, byte for byte of the whole table; and the same scores."""
    finished(stand)
    look(stand)
    before, scores = data(stand), stand.desk.scores.all()
    talk = Hearing(stand, "My model", "Hello.")
    talk.say(f"/remove {GOOD} the weights were wrong", stand.form)
    look(stand)
    assert names(stand) == []
    assert disagreements(stand.desk) == []
    talk.say(f"/restore {GOOD}", stand.form)
    look(stand)
    assert (data(stand), stand.desk.scores.all()) == (before, scores)
    assert disagreements(stand.desk) == []


def test_a_renamed_model_keeps_its_row_under_the_new_name(stand: FlagStand) -> None:
    """Requests and results are renamed on approval; the table follows, and so do the scores."""
    finished(stand)
    look(stand)
    stand.ada.move_repo(GOOD, "ada/better")
    talk = Hearing(stand, "Rename", "Hello.", stand.ada)
    talk.say(f"/rename {GOOD} ada/better", stand.ada)
    found = re.search(r"/approve ([0-9a-f]{8})", "\n".join(talk.replies()))
    assert found is not None
    talk.say(f"/approve {found[1]}", stand.form)
    look(stand)
    assert names(stand) == ["ada/better"]
    assert "ada/better" in table(stand)["Model"][0]
    (scored,) = stand.desk.scores.all()
    assert (scored.model, scored.average) == ("ada/better", table(stand)["Average ⬆️"][0])
    assert disagreements(stand.desk) == []


def test_the_table_outlives_redis_and_processes(stand: FlagStand) -> None:
    """With neither Redis nor memory nothing is committed anew; a damaged table is written again."""
    finished(stand)
    look(stand)
    before, good = commits(stand), data(stand)
    stand.desk.redis.flushall()
    stand.desk.contents_memory = Memory()
    look(stand)
    assert (commits(stand), data(stand)) == (before, good)
    operations = [CommitOperationAdd(FILE, b"not a table")]
    stand.form.create_commit(CONTENTS, operations, commit_message="Break", repo_type="dataset")
    assert "contents-unreadable" in {one.what for one in disagreements(stand.desk)}
    look(stand)
    assert data(stand) == good


def test_two_processes_that_were_told_different_things_do_not_write_in_turns(stand: FlagStand) -> None:
    """The one that asked later is believed by both, until somebody asks anew."""
    finished(stand)
    look(stand)
    first = stand.desk.contents_memory
    stand.ada.delete_repo(GOOD)
    stand.desk.contents_memory = second = Memory(looked={GOOD: stand.time - 2 * sync.DAY})
    look(stand)
    assert list(table(stand)["Available on the hub"]) == [False]
    before = commits(stand)
    for memory in (first, second, first):
        stand.desk.contents_memory = memory
        look(stand)
    assert commits(stand) == before
    assert list(table(stand)["Available on the hub"]) == [False]


def test_a_model_that_is_gone_is_told_as_gone(stand: FlagStand) -> None:
    """A day later its row says that it is not available, and keeps the rest."""
    finished(stand)
    look(stand)
    assert list(table(stand)["Available on the hub"]) == [True]
    before = table(stand)["Architecture"][0]
    stand.ada.delete_repo(GOOD)
    stand.time += sync.DAY
    look(stand)
    assert list(table(stand)["Available on the hub"]) == [False]
    assert table(stand)["Architecture"][0] == before


@pytest.mark.parametrize(
    ("status", "error", "available"),
    [(403, "Access to this resource is disabled.", False), (413, "Too large", True)],
)
def test_a_model_of_which_nothing_can_be_learned_keeps_no_other_from_the_table(
    stand: FlagStand, status: int, error: str, available: bool
) -> None:
    """One is switched off by the Hub, or is more than we read: it keeps its row, and the next model gets one."""
    finished(stand)
    look(stand)
    stand.hub.box.faults.fail(f"GET /api/models/{GOOD}/*", status=status, error=error, times=None)
    finished(stand, "ada/plain")
    stand.time += sync.DAY
    look(stand)
    rows = table(stand)
    assert dict(zip(rows["fullname"], rows["Available on the hub"], strict=True)) == {
        GOOD: available,
        "ada/plain": True,
    }


def test_a_few_models_are_asked_about_at_a_time(stand: FlagStand, monkeypatch: pytest.MonkeyPatch) -> None:
    """New rows come as the Hub tells of their models, by and by."""
    monkeypatch.setattr(sync, "LOOKS", 1)
    finished(stand)
    finished(stand, "ada/plain")
    stand.desk.contents_memory = Memory()
    look(stand)
    assert names(stand) == ["ada/good", "ada/plain"]


def test_in_shadow_nothing_is_written(stand: FlagStand) -> None:
    """It is listed what would have been; once edits are on, it is."""
    finished(stand)
    stand.desk.board = stand.desk.board.model_copy(
        update={"effects": Effects(modes=dict.fromkeys(Effect, Mode.SHADOW))}
    )
    before = commits(stand)
    look(stand)
    assert commits(stand) == before
    assert any(one.path == FILE for one in stand.desk.effects.shadow.read().things)
    stand.desk.board = stand.desk.board.model_copy(update={"effects": Effects(modes=dict.fromkeys(Effect, Mode.ON))})
    look(stand)
    assert names(stand) == [GOOD]


def test_planted_disagreements_are_found(stand: FlagStand) -> None:
    """A missing row, a row without results, a wrong flag, a wrong score, a row twice."""
    finished(stand)
    finished(stand, "ada/plain")
    finished(stand, "ada/loud")
    look(stand)
    shape = columns(stand.desk.suite)
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
    assert {one.what: one.words.split()[0] for one in disagreements(stand.desk)} == {
        "contents-missing": "ada/loud",
        "contents-without-result": "ada/ghost",
        "contents-flagged": "ada/good",
        "contents-score": "ada/plain",
        "contents-twice": "1",
    }
    look(stand)
    assert disagreements(stand.desk) == []


def test_columns_of_others_are_kept(stand: FlagStand) -> None:
    """A column that we do not know stays, with its values, also where we write the row anew."""
    finished(stand)
    look(stand)
    shape = columns(stand.desk.suite)
    rows = [dict(row) for row in read_table(data(stand), "", shape).rows]
    found = pq.read_table(io.BytesIO(write_table(rows, shape, {})))
    more = found.append_column("votes", [[7]])
    into = io.BytesIO()
    pq.write_table(more, into)
    operations = [CommitOperationAdd(FILE, into.getvalue())]
    stand.form.create_commit(CONTENTS, operations, commit_message="Add votes", repo_type="dataset")
    Hearing(stand, f"[FLAG] {GOOD}", "It is not what it says.").say("/flag other it is not", stand.form)
    look(stand)
    found = table(stand)
    assert (list(found.columns)[-1], list(found["votes"]), list(found["Flagged"])) == ("votes", [7], [True])


def test_init_makes_the_repo_with_a_card_that_loaders_read(stand: FlagStand) -> None:
    """Named in the board file, made once, with config and split in its card."""
    org = HfApi(stand.hub.url, token=BOT)
    board = parse_board(BOARD.replace("results: board/results", "results: board/results, contents: board/fresh"))
    door = Hub(stand.hub.url, BOT)
    said = list(steps(door, board, url="http://127.0.0.1:1/webhooks/hub", secret="s", apply=True))
    assert any("Made the dataset board/fresh" in line for line in said)
    card = Path(org.hf_hub_download("board/fresh", "README.md", repo_type="dataset")).read_text("utf-8")
    assert "config_name: default" in card
    assert "split: train" in card
    door.close()


def test_without_the_library_the_sync_process_does_not_start(
    stand: FlagStand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sentence that says what to install; other boards need nothing."""
    monkeypatch.setattr(tables, "can_write", lambda: False)
    monkeypatch.setattr("bot.sync.process.can_write", lambda: False)
    file = tmp_path / "board.yaml"
    file.write_text(BOARD.replace("results: board/results", "results: board/results, contents: board/contents"))
    with pytest.raises(SettingsError, match=r"'\.\[contents\]'"):
        open_desk(BotSettings(board=file))


def test_the_doctor_looks_at_the_repo(stand: FlagStand) -> None:
    """It is read, and workers must not write to it."""
    with Hub(stand.hub.url, WORKER) as worker:
        checks = examine(stand.desk, worker=worker)
    assert f"It may not write to {CONTENTS}." in [one.words for one in checks if one.name == "worker token"]
    assert FLAGS in "".join(one.words for one in checks if one.name == "repos")


def test_licences_that_the_table_has_are_not_asked_for_again(stand: FlagStand, monkeypatch: pytest.MonkeyPatch) -> None:
    """After Redis was lost scores and licences come back, and no model is asked about for it."""
    card = b"---\nlicense: mit\n---\n# It\n"
    stand.ada.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id=GOOD)
    path = finished(stand)
    look(stand)
    before = stand.desk.scores.all()
    stand.desk.redis.flushall()
    stand.desk.contents_memory = Memory()
    asked = list[str]()
    monkeypatch.setattr(scoreboard, "look_at_model", lambda _, model, known: asked.append(model) or known)
    look(stand, rounds=4)
    assert (asked, stand.desk.scores.all()) == ([], before)
    (hit,) = find(stand.desk, "good; Hub License: mit", most=5).hits
    assert (hit.entry.path, hit.average) == (path, before[0].average)


def test_a_row_of_an_earlier_commit_that_others_evaluated_stays(stand: FlagStand) -> None:
    """Their row and ours stand side by side, not written in turns; what theirs tells of the model stays theirs."""
    path = finished(stand)
    look(stand)
    results = json.loads(stand.desk.hub.read_file(stand.desk.results, stand.file(path)["steward"]["results"]).data)
    config = {"model_dtype": "torch.float32", "model_sha": "e" * 40}
    theirs = json.dumps({"results": results["results"], "config": config}).encode()
    operations = [CommitOperationAdd(f"{GOOD}/results_2024-01-01T00-00-00.000000.json", theirs)]
    stand.form.create_commit("board/results", operations, commit_message="Theirs", repo_type="dataset")
    shape = columns(stand.desk.suite)
    (ours,) = (dict(row) for row in read_table(data(stand), "", shape).rows)
    earlier = {**ours, "Model sha": "e" * 40, "Average ⬆️": 11.0, "Hub ❤️": 99}
    operations = [CommitOperationAdd(FILE, write_table([earlier, ours], shape, {}))]
    stand.form.create_commit(CONTENTS, operations, commit_message="Theirs", repo_type="dataset")
    look(stand)
    before = commits(stand)
    stand.desk.contents_memory = Memory()
    look(stand)
    found = table(stand)
    assert list(found["Model sha"]) == [ours["Model sha"], "e" * 40]
    assert (list(found["Average ⬆️"]), list(found["Hub ❤️"])) == ([ours["Average ⬆️"], 11.0], [0, 99])
    assert (commits(stand), disagreements(stand.desk)) == (before, [])
