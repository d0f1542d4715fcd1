"""Flags that people write into the repo by hand or import from a shell, and whether all repos agree."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete
from typer.testing import CliRunner

from bot.flags.flag_files import rename
from bot.intake.deliveries import read_delivery
from bot.probe import Probe
from bot.processes.reconcile import sync_webhooks
from bot.setup.consistency import disagreements
from bot.threads.maintainers_list import waiting_threads
from hub.records import WatchedItem
from localhub.testing import LocalHub
from redis_state import clock
from steward.cli import app
from steward.testing.board import BOARD, BOT
from steward.valkey import Valkey
from tests.support.board.flags import (
    FLAGS,
    SPACE,
    AppealThread,
    FlagBoardDriver,
    by_hand,
    flags_world,
    in_bytes,
    no_flags,
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    """A Hub for all tests; each leaves no flag behind."""
    with LocalHub(tmp_path_factory.mktemp("flags"), flags_world()) as started:
        yield started


@pytest.fixture
def stand(hub: LocalHub, valkey: Valkey, probe: Probe) -> Iterator[FlagBoardDriver]:
    """A board without flags, and an empty Redis."""
    with no_flags(hub, valkey, probe) as driver:
        yield driver


def test_what_a_person_writes_by_hand_is_compiled_and_told(stand: FlagBoardDriver) -> None:
    """The flag sync adds a record that was committed by hand to the table, and removes it when the file is deleted."""
    stand.put_flags(**{"flags/ada/good.json": by_hand("ada/good")})
    stand.sync_flags()
    stand.sync_flags()
    assert stand.table() == {"ada/good": "https://hub/d/1"}
    commits = len(stand.form.list_repo_commits(FLAGS, repo_type="dataset"))
    stand.calls.clear()
    stand.sync_flags()
    assert len(stand.calls) == 1, "nothing changed: one call that reads the head"
    assert len(stand.form.list_repo_commits(FLAGS, repo_type="dataset")) == commits
    deletions = [CommitOperationDelete("flags/ada/good.json")]
    stand.form.create_commit(FLAGS, deletions, commit_message="By hand", repo_type="dataset")
    stand.sync_flags()
    stand.sync_flags()
    assert stand.table() == {}
    assert "flagged" not in stand.codes("ada/good")


def test_a_sync_that_died_over_a_change_leaves_it_to_the_next(stand: FlagBoardDriver) -> None:
    """After a flag is lifted by hand and the first sync dies, the next one reports it in the flag's thread."""
    case = AppealThread(stand, "Something else", "Hello.")
    case.say("/flag other ada/good it is not what it says", stand.form)
    stand.sync_flags()
    record = stand.record("ada/good")
    lifted = {**record["decisions"][-1], "what": "lifted", "reason": "A mistake of mine."}
    stand.put_flags(
        **{"flags/ada/good.json": {**record, "status": "lifted", "decisions": [*record["decisions"], lifted]}}
    )
    assert stand.context.flag_book.refresh()
    stand.sync_flags()
    number = int(record["thread"].rpartition("/")[2])
    thread = stand.form.get_discussion_details(SPACE, number, repo_type="space")
    assert any(event.type == "comment" and "A mistake of mine." in event.content for event in thread.events)


@pytest.mark.parametrize(("at", "waits"), [("2020-01-01T00:00:00Z", True), ("2100-01-01T00:00:00Z", False)])
def test_the_thread_of_an_imported_flag_is_heard(stand: FlagBoardDriver, at: str, *, waits: bool) -> None:
    """In an imported flag's thread, the owner's comment waits for a maintainer, and reopens the closed thread, only if
    the comment is later than the import."""
    case = AppealThread(stand, "About ada/good", "It is too good.")
    url = f"{stand.hub.url}/spaces/{SPACE}/discussions/{case.number}"
    decision = {"what": "flagged", "at": at, "by": "maya", "cause": "import ada/good"}
    stand.put_flags(**{"flags/ada/good.json": by_hand("ada/good", thread=url, decisions=[decision])})
    stand.sync_flags()
    case.say("It is not!", stand.ada)
    assert (
        [thread.topic for thread in waiting_threads(stand.context) if thread.title == "About ada/good"]
        == ["improper flag"]
    ) is waits
    case.say("I have looked at it.", stand.form)
    stand.form.change_discussion_status(SPACE, case.number, "closed", repo_type="space")
    case.look()
    case.say("But look again.", stand.ada)
    assert (case.status == "open") is waits
    assert len(case.replies()) == int(waits)


def set_environment(stand: FlagBoardDriver, valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what `steward` commands need to work on this board."""
    board = BOARD.replace("logs: board/logs", f"logs: board/logs, flags: {FLAGS}")
    (tmp_path / "board.yaml").write_text(board)
    environment = {"HF_ENDPOINT": stand.hub.url, "REDIS_URL": valkey.url, "STEWARD_BOT_TOKEN": BOT}
    environment |= {"STEWARD_BOARD": str(tmp_path / "board.yaml"), "STEWARD_MIRRORS": str(tmp_path / "mirrors")}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def dirty_table(url: Callable[[int], str]) -> dict[str, str]:
    """A table of flags with one right key and ten that are written in a wrong way or name no model."""
    return {
        "ada/good": url(1),
        "ada/copy ": url(2),
        "ada / merged": url(3),
        "https://huggingface.co/ada/half": url(4),
        "ada/pla\u200bin": url(5),
        "ada/old-name": url(6),
        "ada/nowhere": url(7),
        "merged": url(510),
        "\u0430da/good": url(8),
        "ada/quiet": "see above",
        " ada/good": url(9),
    }


def test_a_table_of_others_is_imported_from_a_shell(
    stand: FlagBoardDriver, valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`steward flags import` reports each malformed key by its kind, keeps addresses, and imports nothing twice."""
    set_environment(stand, valkey, tmp_path, monkeypatch)
    stand.ada.create_repo("ada/old-name")
    stand.ada.move_repo("ada/old-name", "ada/new-name")
    url = f"{stand.hub.url}/spaces/{SPACE}/discussions/{{}}".format
    file = tmp_path / "flagged.json"
    file.write_text(json.dumps(dirty_table(url)))
    shown = CliRunner().invoke(app, ["flags", "import", str(file), "--json"])
    report = json.loads(shown.output)
    assert (shown.exit_code, report["written"]) == (1, False)
    codes = "address blanks blanks blanks invisible look-alike no-name no-thread renamed twice unknown"
    assert sorted(problem["code"] for problem in report["problems"]) == codes.split()
    assert CliRunner().invoke(app, ["flags", "import", str(file), "--write"]).exit_code == 1
    stand.time = clock.now() + 1
    stand.sync_flags()
    names = {"ada/good": 9, "ada/copy": 2, "ada/merged": 3, "ada/half": 4, "ada/plain": 5}
    wanted = {name: url(number) for name, number in names.items()}
    assert stand.table() == {**wanted, "ada/new-name": url(6), "ada/old-name": url(6)}
    assert disagreements(stand.context) == []
    again = CliRunner().invoke(app, ["flags", "import", str(file)])
    assert "0 flags to be imported; 6 were imported before." in again.output
    assert "flagged   ada/copy  other" in CliRunner().invoke(app, ["flags", "list"]).output
    record = CliRunner().invoke(app, ["flags", "show", "ada/copy", "--with", "bob/original"]).output
    assert "proof  same-weights-unnamed" in record
    assert f"ada/copy is flagged: {url(2)}" in record
    assert CliRunner().invoke(app, ["flags", "show", "ada/nowhere"]).exit_code == 1
    doctor = CliRunner().invoke(app, ["doctor", "--consistency"])
    assert (doctor.exit_code, "agree with each other" in doctor.output) == (0, True)


def plant_disagreements(stand: FlagBoardDriver) -> list[CommitOperationAdd]:
    """Commit requests, results and flags that contradict each other; return the results files."""
    path = "ada/copy_eval_request_False_float32_Original.json"
    stand.put(path, in_bytes({"model": "ada/cpy", "status": "FINISHED"}))
    finished = {"model": "ada/half", "status": "FINISHED", "steward": {"results": "ada/half/results_x.json"}}
    stand.put("ada/half_eval_request_False_float32_Original.json", in_bytes(finished))
    elsewhere = {"model": "ada/plain", "status": "FINISHED", "steward": {"results": "ada/lost/results_1.json"}}
    stand.put("ada/plain_eval_request_False_float32_Original.json", in_bytes(elsewhere))
    stand.put("ada/merged_eval_request_False_float32_Original.json", b"{")
    of_unread = CommitOperationAdd("ada/merged/results_1.json", in_bytes({"model_name": "ada/merged", "results": {}}))
    lost = CommitOperationAdd("ada/lost/results_1.json", in_bytes({"model_name": "ada/other", "results": {}}))
    results = [of_unread, lost]
    stand.form.create_commit("board/results", results, commit_message="Add", repo_type="dataset")
    stand.put_flags(
        **{
            "flags/ada/nowhere.json": by_hand("ada/nowhere"),
            "flags/ada/Good.json": by_hand("ada/Good"),
            "flags/ada/broken.json": b"{",
            "flags/ada/quiet.json": by_hand("ada/quiet", thread=""),
            "flags/ada/again.json": by_hand("ada/again", also=["ada/quiet"]),
            "flags/ada/loud.json": by_hand("ada/loud", thread=f"{stand.hub.url}/spaces/old/space/discussions/1"),
        },
    )
    return results


def test_each_disagreement_is_found(stand: FlagBoardDriver) -> None:
    """The checker names each contradiction of requests, results and flags, and none in repos that agree."""
    stand.submit("ada/good")
    assert disagreements(stand.context) == []
    results = plant_disagreements(stand)
    listed = disagreements(stand.context)
    kinds = {disagreement.what for disagreement in listed}
    deletions = [CommitOperationDelete(addition.path_in_repo) for addition in results]
    stand.form.create_commit("board/results", deletions, commit_message="Clear", repo_type="dataset")
    assert [disagreement.path for disagreement in listed if disagreement.path.startswith("ada/merged")] == [], (
        "its request exists and is unreadable"
    )
    assert kinds == {
        "request-place",
        "results-missing",
        "results-elsewhere",
        "results-without-request",
        "results-name",
        "flag-unreadable",
        "flag-unmatched",
        "flag-case",
        "flag-twice",
        "flag-without-thread",
        "flag-elsewhere",
        "flag-table",
    }


def test_a_delivery_about_the_flags_repo_wakes_its_sync(stand: FlagBoardDriver) -> None:
    """A delivery about a commit in the flags repo marks the flag sync."""
    body = {
        "event": {"scope": "repo.content", "action": "update"},
        "repo": {"type": "dataset", "name": FLAGS},
        "updatedRefs": [{"ref": "refs/heads/main"}],
    }
    reading = read_delivery(json.dumps(body).encode(), stand.context.board)
    assert [mark.key for mark in reading.marks] == ["flags"]


def test_the_webhook_of_the_flags_repo_is_switched_on_again_too(stand: FlagBoardDriver) -> None:
    """The bot enables the webhook of the flags repo again after it was disabled."""
    hub = stand.context.hub
    hook = hub.ensure_webhook("http://127.0.0.1:9/hook", [WatchedItem("dataset", FLAGS)], ["repo"], "s3cret")
    try:
        hub.session.send("POST", f"/api/settings/webhooks/{hook.id}/disable", route="webhook-disable")
        sync_webhooks(stand.context)
        assert [webhook.disabled for webhook in hub.webhooks()] == [None]
    finally:
        hub.session.send("DELETE", f"/api/settings/webhooks/{hook.id}", route="webhook-delete")


@pytest.mark.parametrize("both", [False, True])
def test_a_renamed_model_has_one_flag_that_knows_both_names(stand: FlagBoardDriver, *, both: bool) -> None:
    """A rename moves a model's flag to the new name, or joins it with the flag there; the tables list both names."""
    scope = {"precision": "float16"}
    files = {"flags/ada/loud.json": by_hand("ada/loud", category="opt-out" if both else "other", scope=scope)}
    files |= {"flags/ada/hushed.json": by_hand("ada/hushed", scope=scope)} if both else {}
    stand.put_flags(**files)
    stand.sync_flags()
    for _ in range(2):
        rename(stand.context, "ada/loud", "ada/hushed", "a merge")
        stand.sync_flags()
    there = stand.form.list_repo_files(FLAGS, repo_type="dataset")
    assert [path for path in there if path.startswith("flags/")] == ["flags/ada/hushed.json"]
    assert stand.record("ada/hushed")["also"] == ["ada/loud"]
    named = stand.table("do_not_submit.json") if both else [row["model"] for row in stand.table("scoped.json")]
    assert set(named) == {"ada/loud", "ada/hushed"}
