"""The checks of `steward doctor`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bot.core.mirrors.folder import trouble_with
from bot.setup.doctor import examine
from bot.setup.doctor.findings import Check
from hub.client import Hub
from hub.records import WatchedItem
from leaderboard.effects import Effect, EffectMode, Effects
from leaderboard.outbreaks import EndedAttempt
from leaderboard.policy import AdmissionPolicy
from redis_state.accepted_digests import RefusedTasks
from redis_state.canaries import Canaries
from redis_state.heartbeats import WorkerCard
from redis_state.set_aside import SetAsideWorker
from steward.testing.board import FORM, REQUESTS, WORKER, BoardDriver
from tests.support.board.board_faults import another_backend, without_community

PATH = "ada/good_eval_request_False_float32_Original.json"


def of(checks: list[Check], name: str) -> list[str]:
    """The states of the checks of one name."""
    return [check.state for check in checks if check.name == name]


def sentence(checks: list[Check], name: str, *, state: str) -> str:
    """Return the text of the first check of this name and state, with what to do about it."""
    check = next(check for check in checks if (check.name, check.state) == (name, state))
    return f"{check.words} {check.mend}"


@pytest.fixture
def healthy(stand: BoardDriver) -> BoardDriver:
    """A board without any problem: webhooks, a form, a worker, and a queue server that the test starts."""
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
    """On a healthy board the doctor makes every check, and each is `ok`."""
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
        "questions",
        "webhooks",
        "webhook address",
        "redis",
        "redis version",
        "clock",
        "disk",
        "mirrors",
        "workers",
        "failures",
        "effects",
        "adoption",
        "own files",
        "other accounts",
        "results",
    ]
    assert list(dict.fromkeys(check.name for check in checks)) == names


def test_a_missing_dataset_and_failures_of_ours_are_found(healthy: BoardDriver, tmp_path: Path) -> None:
    """The doctor names a dataset of the suite that is not there, and the causes of the last hour that are ours."""
    context, usual = healthy.context, healthy.context.suite.datasets[0].repo
    ended = Canaries(context.redis, context.keys, context.suite.name)
    for number, (code, age) in enumerate({"disk-full": 60, "not-a-number": 60, "dataset-unavailable": 7_200}.items()):
        ended.note(EndedAttempt(f"attempt-{number}", "ada/good", code, healthy.context.now() - age))
    context.board = context.board.model_copy(update={"questions": {usual: "board/none"}})
    checks = examine(context, work_dir=tmp_path)
    assert "board/none" in sentence(checks, "questions", state="error")
    assert of(checks, "failures") == ["warning"]
    assert "1 attempt failed in the last hour: disk-full" in sentence(checks, "failures", state="warning")
    disks = [check.words for check in checks if check.name == "disk"]
    assert len(disks) == 2 and f"at {tmp_path}, for models" in disks[1]


def test_a_token_that_is_not_accepted_is_told_and_the_rest_is_looked_at(healthy: BoardDriver) -> None:
    """The doctor reports a token that the Hub refuses, and still checks Redis."""
    with Hub(healthy.hub.url, "hf_wrong") as with_wrong_token:
        healthy.context.hub = with_wrong_token
        checks = examine(healthy.context)
    assert "STEWARD_BOT_TOKEN" in sentence(checks, "token", state="error")
    assert of(checks, "redis") == ["ok", "ok"]


def test_a_worker_that_may_write_to_the_boards_repos_is_found_out(healthy: BoardDriver) -> None:
    """A worker's token that may write to the board's repos is an error for each of them; the check makes no commit."""
    before = healthy.commits()
    with Hub(healthy.hub.url, FORM) as worker:
        checks = examine(healthy.context, worker=worker)
    assert of(checks, "worker token") == ["error"] * 4
    assert "board-details alone" in sentence(checks, "worker token", state="error")
    assert healthy.commits() == before
    assert of(examine(healthy.context), "worker token") == ["warning"]


def test_a_worker_with_a_dead_token_proves_nothing(healthy: BoardDriver) -> None:
    """A worker's token that the Hub does not accept at all is an error, because its refused writes prove nothing."""
    with Hub(healthy.hub.url, "hf_dead") as worker:
        assert of(examine(healthy.context, worker=worker), "worker token") == ["error"] * 4


def test_a_worker_that_is_set_aside_is_named(healthy: BoardDriver) -> None:
    """The doctor reports a worker that is set aside, with the reason, unless the worker has stopped."""
    for worker in ("w", "gone"):
        aside = SetAsideWorker(worker=worker, attempt="a-b-1", path="p", reason="other scores", at=1)
        healthy.context.set_aside.put(aside)
    checks = examine(healthy.context)
    assert of(checks, "workers") == ["ok", "error"]
    assert "other scores" in sentence(checks, "workers", state="error")


def test_a_worker_that_waits_for_the_operator_is_named(healthy: BoardDriver) -> None:
    """The doctor reports a worker that refused its tasks and the command that shows what differs, unless it is gone."""
    for worker in ("w", "gone"):
        fingerprint = f"{'a' * 16}-{'b' * 16}"
        refused = RefusedTasks(worker=worker, fingerprint=fingerprint, differences=("t: other requests",), at=1)
        healthy.context.accepted_digests.refuse(refused)
    checks = examine(healthy.context)
    assert of(checks, "workers") == ["ok", "warning"]
    assert "w takes no job" in sentence(checks, "workers", state="warning")
    assert "`steward tasks`" in sentence(checks, "workers", state="warning")


def test_missing_repos_and_webhooks_are_named(stand: BoardDriver) -> None:
    """Without a community repo and webhooks, the doctor names each of them."""
    without_community(stand)
    checks = examine(stand.context)
    assert "board/space" in sentence(checks, "repos", state="error")
    assert "No webhook reports commits to board/requests" in sentence(checks, "webhooks", state="warning")


def test_a_bot_that_cannot_read_the_details_of_gated_models_is_told(healthy: BoardDriver) -> None:
    """The doctor warns if the bot is no member of the details' namespace, unless the board takes open models only."""
    board = healthy.context.board
    elsewhere = board.repos.model_copy(update={"details_namespace": "steward-details"})
    healthy.context.board = board.model_copy(update={"repos": elsewhere})
    assert "accept no such models" in sentence(examine(healthy.context), "details", state="warning")
    healthy.context.board = healthy.context.board.model_copy(update={"admission": AdmissionPolicy(gated_models=False)})
    assert of(examine(healthy.context), "details") == ["ok"]


def test_a_disabled_webhook_is_an_error(healthy: BoardDriver) -> None:
    """A webhook that was switched off is an error."""
    (hook,) = healthy.context.hub.webhooks()
    healthy.context.hub.session.send("POST", f"/api/settings/webhooks/{hook.id}/disable", route="webhook-disable")
    assert set(of(examine(healthy.context), "webhooks")) == {"error"}


def test_a_redis_that_forgets_is_an_error(stand: BoardDriver) -> None:
    """The doctor reports an error for a Redis without an append-only file or with a policy that evicts keys."""
    info = {"persistence": {"aof_enabled": 0}, "memory": {"maxmemory_policy": "allkeys-lru"}}
    stand.context.redis.info = lambda section: info.get(section, {"redis_version": "8.0"})  # type: ignore[method-assign,assignment,return-value]
    assert of(examine(stand.context), "redis") == ["error", "error"]
    assert "appendonly yes" in sentence(examine(stand.context), "redis", state="error")


@pytest.mark.parametrize(("drift", "state"), [(1, "ok"), (20, "warning"), (-20, "warning"), (600, "error")])
def test_a_clock_that_is_off_is_told(healthy: BoardDriver, drift: float, state: str) -> None:
    """The doctor compares the bot's clock with those of Redis and the Hub: 20 s off is a warning, 600 s an error."""
    healthy.time += drift
    assert of(examine(healthy.context), "clock") == [state, state]


def test_effects_are_not_switched_on_while_another_account_changes_statuses(healthy: BoardDriver) -> None:
    """If another account changes statuses, the doctor reports an error when edits are on, a warning in shadow mode."""
    another_backend(healthy)
    finding = sentence(examine(healthy.context), "other accounts", state="error")
    assert "form changed 1 statuses" in finding
    assert re.search(r"the last at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: \S+ PENDING → RUNNING", finding)
    shadow = Effects(modes=dict.fromkeys(Effect, EffectMode.SHADOW))
    healthy.context.board = healthy.context.board.model_copy(update={"effects": shadow})
    assert of(examine(healthy.context), "other accounts") == ["warning"]
    assert of(examine(healthy.context, switching_on=True), "other accounts") == ["error"]
    healthy.time += 25 * 3600
    assert of(examine(healthy.context, switching_on=True), "other accounts") == ["ok"]


def test_forms_and_the_bot_itself_are_no_other_accounts(healthy: BoardDriver) -> None:
    """The doctor accepts changes of statuses by the form and by the bot."""
    healthy.submit("ada/remote")
    healthy.settle()
    assert healthy.file("ada/remote_eval_request_False_float32_Original.json")["status"] == "FAILED"
    healthy.put(PATH, json.dumps({"model": "ada/good", "status": "PENDING"}).encode())
    healthy.put(PATH, json.dumps({"model": "ada/good", "status": "CANCELLED"}).encode())
    assert of(examine(healthy.context), "other accounts") == ["ok"]


def test_a_board_with_a_past_has_to_be_adopted_before_edits_are_on(healthy: BoardDriver) -> None:
    """Requests that ended without Steward are an error for the doctor, until `steward adopt` has written its record."""
    healthy.put(PATH, json.dumps({"model": "ada/good", "status": "FINISHED"}).encode())
    assert "steward adopt" in sentence(examine(healthy.context), "adoption", state="error")
    from bot.setup.adopting import adopt

    adopt(healthy.context)
    assert of(examine(healthy.context), "adoption") == ["ok"]


def test_a_record_whose_commit_is_gone_is_an_error(healthy: BoardDriver) -> None:
    """After a squash of the history the adoption record's commit is gone, and the doctor reports an error."""
    from bot.setup.adopting import adopt
    from leaderboard.adoption import RECORD

    record = adopt(healthy.context).record.model_copy(update={"commits": {REQUESTS: "a" * 40}})
    healthy.put(RECORD, record.model_dump_json().encode())
    assert "--again" in sentence(examine(healthy.context), "adoption", state="error")
    healthy.put(RECORD, b"{}")
    assert "--again" in sentence(examine(healthy.context), "adoption", state="error")


def test_a_folder_for_mirrors_that_others_can_write_to_is_an_error(healthy: BoardDriver, tmp_path: Path) -> None:
    """The doctor does not read a folder in which other accounts could place commits, and says how to fix it."""
    root = healthy.context.mirror.root
    root.mkdir(mode=0o700, exist_ok=True)
    root.chmod(0o777)
    finding = sentence(examine(healthy.context), "mirrors", state="error")
    assert "other accounts" in finding
    assert f"chmod 700 {root}" in finding
    assert "STEWARD_MIRRORS" in finding
    assert of(examine(healthy.context), "other accounts") == ["error"]  # the doctor did not read the mirror
    root.chmod(0o700)
    assert of(examine(healthy.context), "mirrors") == ["ok"]


def test_an_unusable_folder_for_mirrors_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot refuses a link, a file or another account's folder for mirrors, and one that it cannot create."""
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
