"""`steward doctor`, `adopt` and `shadow`, as operators meet them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from bot.core.mirrors.folder import trouble_with
from bot.setup.doctor import examine
from bot.setup.doctor.findings import Check
from hub.client import Hub
from hub.records import WatchedItem
from leaderboard.boards import parse_board
from leaderboard.effects import Effect, EffectMode, Effects
from leaderboard.policy import AdmissionPolicy
from redis_state.accepted_digests import RefusedTasks
from redis_state.heartbeats import WorkerCard
from redis_state.set_aside import SetAsideWorker
from redis_state.shadowed_writes import ShadowedWrite
from steward.cli import app
from tests.support.board.board_driver import BOT, FORM, REQUESTS, WORKER, BoardDriver
from tests.support.board.board_file import BOARD

PATH = "ada/good_eval_request_False_float32_Original.json"


def of(checks: list[Check], name: str) -> list[str]:
    """The states of the checks of one name."""
    return [check.state for check in checks if check.name == name]


def sentence(checks: list[Check], name: str, *, state: str) -> str:
    """The first check of this name and state, in words, with what to do about it."""
    check = next(check for check in checks if (check.name, check.state) == (name, state))
    return f"{check.words} {check.mend}"


def without_community(stand: BoardDriver) -> None:
    """Delete the community repo."""
    space = stand.hub.state.repos.get("space", "board/space")
    assert space is not None
    stand.hub.state.repos.delete(space, None)


@pytest.fixture
def healthy(stand: BoardDriver) -> BoardDriver:
    """A board at which nothing is amiss: webhooks, a form, and the queue server that we start ourselves."""
    watched = [
        WatchedItem("dataset", REQUESTS),
        WatchedItem("dataset", "board/results"),
        WatchedItem("space", "board/space"),
    ]
    stand.context.hub.ensure_webhook("http://127.0.0.1:1/webhooks/hub", watched, ["repo", "discussion"], "s3cret")
    stand.context.hub.hide(stand.context.logs)
    card = WorkerCard(name="w", tiers=("all",), devices="cuda: H100", since=stand.time, beat=stand.time)
    stand.context.workers.announce(card)
    stand.context.board = stand.context.board.model_copy(
        update={
            "front_ends": (stand.context.hub.user("form").id,),
            "effects": Effects(modes=dict.fromkeys(Effect, EffectMode.ON)),
        }
    )
    return stand


def test_a_healthy_board_has_nothing_to_mend(healthy: BoardDriver) -> None:
    """Every check is there, and each is well."""
    with Hub(healthy.hub.url, WORKER) as worker:
        checks = examine(healthy.context, worker=worker)
    assert [check for check in checks if check.state != "ok"] == []
    names = [
        "token",
        "repos",
        "rights",
        "worker token",
        "worker details",
        "logs",
        "details",
        "webhooks",
        "webhook address",
        "redis",
        "redis version",
        "clock",
        "disk",
        "mirrors",
        "workers",
        "effects",
        "adoption",
        "own files",
        "other accounts",
        "results",
    ]
    assert list(dict.fromkeys(check.name for check in checks)) == names


def test_a_token_that_is_not_accepted_is_told_and_the_rest_is_looked_at(healthy: BoardDriver) -> None:
    """One thing that is wrong hides none of the others."""
    with Hub(healthy.hub.url, "hf_wrong") as door:
        healthy.context.hub = door
        checks = examine(healthy.context)
    assert "STEWARD_BOT_TOKEN" in sentence(checks, "token", state="error")
    assert of(checks, "redis") == ["ok", "ok"]


def test_a_worker_that_may_write_to_the_boards_repos_is_found_out(healthy: BoardDriver) -> None:
    """The bot's own token in a worker's hands is an error for each repo, and the trial leaves no commit behind."""
    before = healthy.commits()
    with Hub(healthy.hub.url, FORM) as worker:
        checks = examine(healthy.context, worker=worker)
    assert of(checks, "worker token") == ["error"] * 4
    assert "board-details alone" in sentence(checks, "worker token", state="error")
    assert healthy.commits() == before
    assert of(examine(healthy.context), "worker token") == ["warning"]


def test_a_worker_with_a_dead_token_proves_nothing(healthy: BoardDriver) -> None:
    """A refusal counts only where the token itself is accepted."""
    with Hub(healthy.hub.url, "hf_dead") as worker:
        assert of(examine(healthy.context, worker=worker), "worker token") == ["error"] * 4


def test_a_worker_that_is_set_aside_is_named(healthy: BoardDriver) -> None:
    """With what its samples do not give; one that has stopped is not."""
    for worker in ("w", "gone"):
        aside = SetAsideWorker(worker=worker, attempt="a-b-1", path="p", reason="other scores", at=1)
        healthy.context.set_aside.put(aside)
    checks = examine(healthy.context)
    assert of(checks, "workers") == ["ok", "error"]
    assert "other scores" in sentence(checks, "workers", state="error")


def test_a_worker_that_waits_for_the_operator_is_named(healthy: BoardDriver) -> None:
    """With the command that shows what differs; one that is gone is not."""
    for worker in ("w", "gone"):
        fingerprint = f"{'a' * 16}-{'b' * 16}"
        refused = RefusedTasks(worker=worker, fingerprint=fingerprint, differences=("t: other requests",), at=1)
        healthy.context.accepted_digests.refuse(refused)
    checks = examine(healthy.context)
    assert of(checks, "workers") == ["ok", "warning"]
    assert "w takes no job" in sentence(checks, "workers", state="warning")
    assert "`steward tasks`" in sentence(checks, "workers", state="warning")


def test_missing_repos_and_webhooks_are_named(stand: BoardDriver) -> None:
    """Without a community repo and webhooks, each is told with what to do."""
    without_community(stand)
    checks = examine(stand.context)
    assert "board/space" in sentence(checks, "repos", state="error")
    assert "No webhook reports commits to board/requests" in sentence(checks, "webhooks", state="warning")


def test_a_bot_that_cannot_read_the_details_of_gated_models_is_told(healthy: BoardDriver) -> None:
    """Their details are private: it must be a member, unless the board takes open models only."""
    board = healthy.context.board
    elsewhere = board.repos.model_copy(update={"details_namespace": "steward-details"})
    healthy.context.board = board.model_copy(update={"repos": elsewhere})
    assert "accept no such models" in sentence(examine(healthy.context), "details", state="warning")
    healthy.context.board = healthy.context.board.model_copy(update={"admission": AdmissionPolicy(gated_models=False)})
    assert of(examine(healthy.context), "details") == ["ok"]


def test_a_disabled_webhook_is_an_error(healthy: BoardDriver) -> None:
    """One that the Hub, or somebody, switched off tells of nothing."""
    (hook,) = healthy.context.hub.webhooks()
    healthy.context.hub.session.send("POST", f"/api/settings/webhooks/{hook.id}/disable", route="webhook-disable")
    assert set(of(examine(healthy.context), "webhooks")) == {"error"}


def test_a_redis_that_forgets_is_an_error(stand: BoardDriver) -> None:
    """No append-only file, or a policy that evicts: what was acknowledged could be lost."""
    info = {"persistence": {"aof_enabled": 0}, "memory": {"maxmemory_policy": "allkeys-lru"}}
    stand.context.redis.info = lambda section: info.get(section, {"redis_version": "8.0"})  # type: ignore[method-assign,assignment,return-value]
    assert of(examine(stand.context), "redis") == ["error", "error"]
    assert "appendonly yes" in sentence(examine(stand.context), "redis", state="error")


@pytest.mark.parametrize(("drift", "state"), [(1, "ok"), (20, "warning"), (-20, "warning"), (600, "error")])
def test_a_clock_that_is_off_is_told(healthy: BoardDriver, drift: float, state: str) -> None:
    """Ours is compared with that of Redis and that of the Hub."""
    healthy.time += drift
    assert of(examine(healthy.context), "clock") == [state, state]


def another_backend(stand: BoardDriver) -> None:
    """An account that is no form of the board runs an evaluation."""
    stand.put(PATH, json.dumps({"model": "ada/good", "status": "PENDING"}).encode())
    stand.context.board = stand.context.board.model_copy(update={"front_ends": ()})
    stand.put(PATH, json.dumps({"model": "ada/good", "status": "RUNNING", "job_id": "4711"}).encode())


def test_effects_are_not_switched_on_while_another_account_changes_statuses(healthy: BoardDriver) -> None:
    """An error where edits are on, or are about to be; a warning while the board only watches."""
    another_backend(healthy)
    told = sentence(examine(healthy.context), "other accounts", state="error")
    assert "form changed 1 statuses" in told
    assert re.search(r"the last at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: \S+ PENDING → RUNNING", told)
    shadow = Effects(modes=dict.fromkeys(Effect, EffectMode.SHADOW))
    healthy.context.board = healthy.context.board.model_copy(update={"effects": shadow})
    assert of(examine(healthy.context), "other accounts") == ["warning"]
    assert of(examine(healthy.context, switching_on=True), "other accounts") == ["error"]
    healthy.time += 25 * 3600
    assert of(examine(healthy.context, switching_on=True), "other accounts") == ["ok"]


def test_forms_and_the_bot_itself_are_no_other_accounts(healthy: BoardDriver) -> None:
    """What the form submits and the bot decides is as it should be, and a new file is no change of a status."""
    healthy.submit("ada/remote")
    healthy.settle()
    assert healthy.file("ada/remote_eval_request_False_float32_Original.json")["status"] == "FAILED"
    healthy.put(PATH, json.dumps({"model": "ada/good", "status": "PENDING"}).encode())
    healthy.put(PATH, json.dumps({"model": "ada/good", "status": "CANCELLED"}).encode())
    assert of(examine(healthy.context), "other accounts") == ["ok"]


def test_a_board_with_a_past_has_to_be_adopted_before_edits_are_on(healthy: BoardDriver) -> None:
    """Requests that ended without Steward and no record: nothing would protect them."""
    healthy.put(PATH, json.dumps({"model": "ada/good", "status": "FINISHED"}).encode())
    assert "steward adopt" in sentence(examine(healthy.context), "adoption", state="error")
    from bot.setup.adopting import adopt

    adopt(healthy.context)
    assert of(examine(healthy.context), "adoption") == ["ok"]


def test_a_record_whose_commit_is_gone_is_an_error(healthy: BoardDriver) -> None:
    """After somebody squashed the history nobody can tell what is old."""
    from bot.setup.adopting import adopt
    from leaderboard.adoption import RECORD

    record = adopt(healthy.context).record.model_copy(update={"commits": {REQUESTS: "a" * 40}})
    healthy.put(RECORD, record.model_dump_json().encode())
    assert "--again" in sentence(examine(healthy.context), "adoption", state="error")
    healthy.put(RECORD, b"{}")
    assert "--again" in sentence(examine(healthy.context), "adoption", state="error")


def test_a_folder_for_mirrors_that_others_can_write_to_is_an_error(healthy: BoardDriver, tmp_path: Path) -> None:
    """Whoever may write there could put commits before us: nothing is read from it, and the line says what to do."""
    root = healthy.context.mirror.root
    root.mkdir(mode=0o700, exist_ok=True)
    root.chmod(0o777)
    found = sentence(examine(healthy.context), "mirrors", state="error")
    assert "other accounts" in found
    assert f"chmod 700 {root}" in found
    assert "STEWARD_MIRRORS" in found
    assert of(examine(healthy.context), "other accounts") == ["error"]  # it was not looked at
    root.chmod(0o700)
    assert of(examine(healthy.context), "mirrors") == ["ok"]


def test_a_folder_for_mirrors_that_is_none_or_anothers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link, which somebody may turn elsewhere, counts as no folder; one that is yet to be made has to be possible."""
    (tmp_path / "link").symlink_to(tmp_path)
    assert "not a folder" in trouble_with(tmp_path / "link")
    assert trouble_with(tmp_path / "nothing") == ""
    tmp_path.chmod(0o700)
    assert trouble_with(tmp_path) == ""
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        assert trouble_with(place)
    monkeypatch.setattr("os.access", lambda path, _: path != tmp_path)
    assert f"may not write to {tmp_path}" in trouble_with(tmp_path / "one" / "two")
    monkeypatch.setattr("os.getuid", lambda: 4711)
    assert "another account" in trouble_with(tmp_path)


# --- the commands


@pytest.fixture
def steward(
    stand: BoardDriver, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Run `steward …` on the board of `stand`, in shadow."""
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
    """The command says what it did and what comes next; a second time it says so and writes nothing."""
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
    nobody = steward("adopt", "--again", "--by", "nobody-of-that-name")
    assert (nobody.exit_code, stand.commits()) == (1, 3)


def test_doctors_exit_status_says_whether_all_is_well(stand: BoardDriver, steward: Callable[..., Result]) -> None:
    """Words for people, JSON for programs, 1 where something is wrong, 2 where a setting is missing."""
    assert steward("doctor").exit_code == 0
    without_community(stand)
    found = steward("doctor")
    assert found.exit_code == 1
    assert "ERROR  repos" in found.output
    assert "→" in found.output
    checks = json.loads(steward("doctor", "--json").stdout.splitlines()[-1])["checks"]
    assert {"name": "token", "state": "ok", "words": "The bot is steward-bot.", "mend": ""} in checks


def test_doctor_reads_the_workers_token_from_a_file(
    stand: BoardDriver, steward: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the worker does; a file that is not there ends in a sentence."""
    (tmp_path / "token").write_text(f"{WORKER}\n")
    monkeypatch.setenv("STEWARD_WORKER_TOKEN_FILE", str(tmp_path / "token"))
    assert "It may not write to board/requests." in steward("doctor").output
    monkeypatch.setenv("STEWARD_WORKER_TOKEN_FILE", str(tmp_path / "nothing"))
    assert steward("doctor").exit_code == 2


def test_an_operator_reads_the_list_of_a_board_in_shadow(stand: BoardDriver, steward: Callable[..., Result]) -> None:
    """What would have been done, and what people did; strangers' words are no markup; and the list can be cleared."""
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
    ours = next(one for one in listed["things"] if one["path"] == PATH)
    assert [(deed["who"], deed["what"]) for deed in ours["then"]] == [("form", "added the file: FINISHED")]
    assert "1 older ones" in steward("shadow", "list", "--limit", "1").output
    assert steward("shadow", "clear").exit_code == 0
    assert "No effect was held back." in steward("shadow", "list").output


def test_an_operator_switches_effects_one_by_one(
    stand: BoardDriver, steward: Callable[..., Result], tmp_path: Path
) -> None:
    """The list shows modes and what shadow held back; the file keeps its comments; a restart is asked for."""
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
    """Who it is, when, and what to do is said, and the file stays; less may always be done; an operator may insist."""
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


def test_a_board_file_that_cannot_be_written_stays_as_it_is(steward: Callable[..., Result], tmp_path: Path) -> None:
    """What is wrong ends in a sentence: no such file, or one that cannot be changed in place."""
    assert steward("effects", "set", "edit", "off", "--board", str(tmp_path / "none.yaml")).exit_code == 2
    linked = tmp_path / "linked.yaml"
    linked.write_text((tmp_path / "board.yaml").read_text().replace("effects: shadow", "effects: &same shadow"))
    linked.write_text(linked.read_text() + "# end\n")
    (tmp_path / "link.yaml").symlink_to(linked)
    assert steward("effects", "set", "edit", "off", "--board", str(tmp_path / "link.yaml")).exit_code == 0
    assert (tmp_path / "link.yaml").is_symlink()
    assert "edit: off" in linked.read_text()
