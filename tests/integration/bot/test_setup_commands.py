"""The commands `steward doctor`, `adopt`, `shadow` and `effects`, as operators run them."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from leaderboard.boards import parse_board
from leaderboard.effects import Effect, EffectMode
from redis_state.shadowed_writes import ShadowedWrite
from steward.cli import app
from steward.testing.board import BOARD, BOT, REQUESTS, WORKER, BoardDriver
from tests.support.board.board_faults import another_backend, without_community

PATH = "ada/good_eval_request_False_float32_Original.json"


@pytest.fixture
def steward(
    stand: BoardDriver, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Run `steward …` on the board of `stand`, with all effects in shadow."""
    board = {**yaml.safe_load(BOARD), "effects": "shadow"}
    (tmp_path / "board.yaml").write_text(yaml.safe_dump(board))
    for name in ("STEWARD_WORKER_TOKEN", "STEWARD_WORKER_TOKEN_FILE", "STEWARD_BOT_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEWARD_BOARD", str(tmp_path / "board.yaml"))
    monkeypatch.setenv("STEWARD_BOT_TOKEN", BOT)
    monkeypatch.setenv("HF_ENDPOINT", stand.hub.url)
    monkeypatch.setenv("REDIS_URL", valkey_url)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return lambda *words: CliRunner().invoke(app, list(words))


def test_an_operator_adopts_a_board(stand: BoardDriver, steward: Callable[..., Result]) -> None:
    """`steward adopt` keeps the requests and records who adopted; a second or a refused call commits nothing."""
    stand.put(PATH, json.dumps({"model": "ada/good", "status": "FINISHED"}).encode())
    first = steward("adopt", "--by", "ada")
    assert first.exit_code == 0
    assert "1 requests (1 FINISHED) stay as they are" in first.output
    assert stand.commits() == 3
    again = steward("adopt", "--json")
    assert json.loads(again.stdout.splitlines()[-1])["new"] is False
    assert json.loads(again.stdout.splitlines()[-1])["record"]["by"]["name"] == "ada"
    assert "already" in steward("adopt").output
    assert stand.commits() == 3
    refused = steward("adopt", "--again", "--by", "no-such-account")
    assert (refused.exit_code, stand.commits()) == (1, 3)


def test_doctors_exit_status_says_whether_all_is_well(stand: BoardDriver, steward: Callable[..., Result]) -> None:
    """`steward doctor` exits with 0 if all is well and with 1 on an error, and prints text or JSON."""
    assert steward("doctor").exit_code == 0
    without_community(stand)
    result = steward("doctor")
    assert result.exit_code == 1
    assert "ERROR  repos" in result.output
    assert "→" in result.output
    checks = json.loads(steward("doctor", "--json").stdout.splitlines()[-1])["checks"]
    assert {"name": "token", "state": "ok", "words": "The bot is steward-bot.", "mend": ""} in checks


def test_doctor_reads_the_workers_token_from_a_file(
    stand: BoardDriver, steward: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The doctor checks the token in `STEWARD_WORKER_TOKEN_FILE`, and exits with 2 if that file does not exist."""
    (tmp_path / "token").write_text(f"{WORKER}\n")
    monkeypatch.setenv("STEWARD_WORKER_TOKEN_FILE", str(tmp_path / "token"))
    assert "It may not write to board/requests." in steward("doctor").output
    monkeypatch.setenv("STEWARD_WORKER_TOKEN_FILE", str(tmp_path / "nothing"))
    assert steward("doctor").exit_code == 2


def test_an_operator_reads_the_list_of_a_board_in_shadow(stand: BoardDriver, steward: Callable[..., Result]) -> None:
    """`steward shadow list` has the writes held back and what people did since, without markup; it can be cleared."""
    assert "No effect was held back." in steward("shadow", "list").output
    path = "[red]ada[/red]/x_eval_request_False_float32_Original.json"
    for number, about in enumerate((PATH, path)):
        shadowed = ShadowedWrite(
            id=f"w{number}", effect="edit", repo=f"dataset/{REQUESTS}", does="Run it", path=about, at=1.0
        )
        stand.context.effects.shadow.add(shadowed)
    stand.put(PATH, json.dumps({"model": "ada/good", "status": "FINISHED"}).encode())
    shown = steward("shadow", "list")
    assert shown.exit_code == 0
    assert "[red]" in shown.output
    listed = json.loads(steward("shadow", "list", "--json", "--limit", "5").stdout.splitlines()[-1])
    assert listed["count"] == 2
    ours = next(write for write in listed["things"] if write["path"] == PATH)
    assert [(deed["who"], deed["what"]) for deed in ours["then"]] == [("form", "added the file: FINISHED")]
    assert "1 older ones" in steward("shadow", "list", "--limit", "1").output
    assert steward("shadow", "clear").exit_code == 0
    assert "No effect was held back." in steward("shadow", "list").output


def test_an_operator_switches_effects_one_by_one(
    stand: BoardDriver, steward: Callable[..., Result], tmp_path: Path
) -> None:
    """`steward effects` lists modes and held-back writes; a change keeps the file's comments and asks for a restart."""
    board = tmp_path / "board.yaml"
    board.write_text("# ours\n" + board.read_text())
    shadowed = ShadowedWrite(id="w", effect="comment", repo=f"dataset/{REQUESTS}", does="Say it", at=1.0)
    stand.context.effects.shadow.add(shadowed)
    listed = json.loads(steward("effects", "list", "--json").stdout.splitlines()[-1])["effects"]
    assert {"kind": "comment", "mode": "shadow", "would": 1} in listed
    changed = steward("effects", "set", "edit", "on")
    assert changed.exit_code == 0, changed.output
    assert "edit is on" in changed.output
    assert "restart" in changed.output
    assert board.read_text().startswith("# ours\n")
    assert parse_board(board.read_text()).effects.mode(Effect.EDIT) is EffectMode.ON
    assert "Nothing was changed" in steward("effects", "set", "edit", "on").output
    assert "comment" in steward("effects", "list").output
    assert sorted(file.name for file in tmp_path.glob("*board*")) == ["board.yaml"]


def test_nothing_is_switched_on_beside_another_backend(
    stand: BoardDriver, steward: Callable[..., Result], tmp_path: Path
) -> None:
    """While another program sets statuses, `effects set … on` is refused without `--anyway`; `off` is allowed."""
    another_backend(stand)
    other = tmp_path / "other.yaml"
    other.write_text((tmp_path / "board.yaml").read_text())
    before = other.read_text()
    refused = steward("effects", "set", "merge", "on", "--board", str(other))
    assert refused.exit_code == 1
    assert "form changed 1 statuses" in refused.output
    assert "→ Stop the other program that evaluates" in refused.output
    assert other.read_text() == before
    assert steward("effects", "set", "merge", "off", "--board", str(other)).exit_code == 0
    assert steward("effects", "set", "merge", "on", "--board", str(other), "--anyway").exit_code == 0
    assert parse_board(other.read_text()).effects.mode(Effect.MERGE) is EffectMode.ON
    assert parse_board((tmp_path / "board.yaml").read_text()).effects.mode(Effect.MERGE) is EffectMode.SHADOW


def test_effects_set_leaves_a_file_as_it_was_that_it_cannot_replace(
    steward: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the board file cannot be replaced, `effects set` exits with 1 and the reason, and leaves only the old file."""
    board = tmp_path / f"{'b' * 245}.yaml"  # the name of a new file beside it would be too long
    board.write_text((tmp_path / "board.yaml").read_text())
    before, files = board.read_text(), set(tmp_path.iterdir())
    refused = steward("effects", "set", "edit", "off", "--board", str(board))
    assert (refused.exit_code, "was not changed: " in refused.output, "too long" in refused.output) == (1, True, True)

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    full = steward("effects", "set", "edit", "off")
    assert (full.exit_code, "was not changed: " in full.output, "No space left" in full.output) == (1, True, True)
    assert (board.read_text(), (tmp_path / "board.yaml").read_text()) == (before, before)
    assert set(tmp_path.iterdir()) == files


def test_effects_set_follows_a_link_and_refuses_a_missing_file(steward: Callable[..., Result], tmp_path: Path) -> None:
    """`effects set` exits with 2 for a missing file, and changes the file behind a symbolic link."""
    assert steward("effects", "set", "edit", "off", "--board", str(tmp_path / "none.yaml")).exit_code == 2
    linked = tmp_path / "linked.yaml"
    linked.write_text((tmp_path / "board.yaml").read_text().replace("effects: shadow", "effects: &same shadow"))
    linked.write_text(linked.read_text() + "# end\n")
    (tmp_path / "link.yaml").symlink_to(linked)
    assert steward("effects", "set", "edit", "off", "--board", str(tmp_path / "link.yaml")).exit_code == 0
    assert (tmp_path / "link.yaml").is_symlink()
    assert "edit: off" in linked.read_text()
