"""The ledger against a real Hub protocol and a real queue server: few commits, no edit lost, none made twice."""

from __future__ import annotations

import json
import os
import random

import pytest
import redis

from bot.ledger.edits import FieldEdit, RestoreFile, blob_id
from hub.budget import DAY, HOUR, Commits
from localhub.testing import LocalHub
from redis_state.dirty import SyncPriority
from redis_state.webhook_quota import QUOTA
from tests.support.board import ledger_driver
from tests.support.board.ledger_driver import REQUESTS, RESULTS, LedgerDriver


def test_a_single_edit_goes_out_at_once_in_two_calls(driver: LedgerDriver) -> None:
    """An edit of an unchanged file is one commit and one read; the waiting key is marked, and nothing stays staged."""
    (path,) = driver.stage_some(1)
    assert driver.ledger.edits.is_pending(path)
    assert driver.marked() == {"ledger:board/requests"}
    driver.calls.clear()
    assert driver.write() is None
    assert driver.calls == ["commit", "paths-info"]
    assert driver.fields(path) == {"status": "RUNNING", "params": 1}
    assert f"request:{path}" in driver.marked()
    edits = driver.ledger.edits
    assert (driver.staged(), edits.is_pending(path), edits.landed(f"run {path}")) == ([], False, True)


def test_what_gathers_meanwhile_is_one_commit(driver: LedgerDriver) -> None:
    """After a few commits the ledger waits, and then writes everything that is staged in one commit."""
    paths = driver.stage_some(30)
    for path in paths[:5]:
        driver.ledger.end(REQUESTS, next(s for s in driver.ledger.edits.read(REQUESTS) if s.edit.path == path), "void")
        driver.ledger.stage(REQUESTS, driver.result(f"r {path}"))
        assert driver.ledger.budget.spend(REQUESTS)
    driver.calls.clear()
    when = driver.write()
    assert when is not None
    assert driver.time < when < driver.time + 5
    assert (driver.calls, len(driver.staged())) == (["whoami", "commits"], 30)  # the earlier commits are counted, once
    driver.time = when
    assert driver.write() is None
    assert len(driver.titles()) == 1
    assert driver.staged() == []
    assert {driver.fields(path)["status"] for path in paths[5:]} == {"RUNNING"}


def test_the_commit_tells_machines_what_it_did(driver: LedgerDriver) -> None:
    """Each JSON line in the description of the ledger's commit names an edited file and its new status."""
    paths = driver.stage_some(3)
    driver.drain()
    entry = driver.hub.commits(REQUESTS, limit=1)[0]
    changes = [json.loads(line) for line in entry.message.splitlines() if line.startswith("{")]
    assert [(change["path"], change["status"]) for change in changes] == [(path, "RUNNING") for path in paths]
    assert entry.title == "RUNNING o/m0.json and 2 more"


def test_a_persons_change_to_another_field_survives(driver: LedgerDriver) -> None:
    """A person changes another field before the ledger's commit: the file then has both changes."""
    (path,) = driver.stage_some(1)
    driver.put(path, {"status": "PENDING", "params": 7, "new": "x"})
    driver.drain()
    assert driver.fields(path) == {"status": "RUNNING", "params": 7, "new": "x"}
    assert len(driver.titles()) == 1


@pytest.mark.parametrize("deleted", [False, True])
def test_a_persons_change_to_a_guarded_field_voids_the_edit_and_wakes(driver: LedgerDriver, deleted: bool) -> None:
    """If a person cancels or deletes the file, the ledger drops its edit without a commit, and marks the request."""
    (path,) = driver.stage_some(1)
    if deleted:
        driver.delete(path)
    else:
        driver.put(path, {"status": "CANCELLED"})
    driver.drain()
    assert driver.fields(path) == (None if deleted else {"status": "CANCELLED"})
    assert (driver.titles(), driver.staged()) == ([], [])
    assert f"request:{path}" in driver.marked()
    assert not driver.ledger.edits.landed(f"run {path}")


@pytest.mark.parametrize("edits", [200, pytest.param(1_000, marks=pytest.mark.long("five times as many edits"))])
def test_hundreds_of_edits_stay_within_the_budget_and_in_order(driver: LedgerDriver, edits: int) -> None:
    """The ledger writes the edits of 50 files over two hours in order, with at most 60 commits in any hour."""
    paths = [f"o/m{n}.json" for n in range(50)]
    driver.commit([ledger_driver.CommitOperationAdd(path, b'{"n": 0}') for path in paths], REQUESTS)
    chance, began, steps = random.Random(7), driver.time, dict.fromkeys(paths, 0)
    spent: list[float] = []
    for _ in range(edits):
        path = chance.choice(paths)
        n = steps[path] = steps[path] + 1
        edit = FieldEdit(id=f"{path} {n}", path=path, line="Count", fields={"n": n}, guard={"n": (n - 1,)})
        driver.ledger.stage(REQUESTS, edit)
        driver.time += chance.expovariate(edits / (2 * HOUR))
        before = len(driver.calls)
        driver.write()
        if "commit" in driver.calls[before:]:
            spent.append(driver.time)
    driver.drain()
    assert {path: driver.fields(path)["n"] for path in paths} == steps
    assert all(driver.ledger.edits.landed(f"{path} {n}") for path in paths for n in range(1, steps[path] + 1))
    assert driver.time - began < 2.2 * HOUR
    assert len(spent) < 120
    assert max(len([t for t in spent if at - HOUR < t <= at]) for at in spent) <= 60
    assert len(driver.titles()) <= len(spent) + 2


def finish_after_result(driver: LedgerDriver) -> str:
    """Stage a result, and a FINISHED that has to come after it; return the request's path."""
    (path,) = driver.stage_some(1)
    driver.drain()
    finish = driver.edit(path, "finish", was="RUNNING", becomes="FINISHED", after=("result",))
    driver.ledger.stage(RESULTS, driver.result("result"))
    driver.ledger.stage(REQUESTS, finish)
    return path


def test_an_edit_waits_for_those_that_it_comes_after(driver: LedgerDriver) -> None:
    """The ledger writes FINISHED only after the result; the result's commit marks the ledger that waits."""
    path = finish_after_result(driver)
    assert driver.write() is None
    assert driver.fields(path)["status"] == "RUNNING"
    driver.redis.delete(driver.keys.dirty)
    assert driver.write(RESULTS) is None
    assert driver.marked() == {"request:r", "ledger:board/requests"}
    driver.drain()
    assert driver.fields(path)["status"] == "FINISHED"
    assert driver.fields("result.json", RESULTS) == {}


def test_later_edits_of_a_file_wait_behind_an_earlier_one(driver: LedgerDriver) -> None:
    """Edits of one file keep their order even if the first has to wait; other files are written meanwhile."""
    path = finish_after_result(driver)
    driver.put("other.json", {"status": "PENDING"})
    driver.ledger.stage(REQUESTS, driver.edit(path, "reopen", was="FINISHED", becomes="RERUN"))
    driver.ledger.stage(REQUESTS, driver.edit("other.json", "other"))
    driver.drain()
    assert (driver.fields(path)["status"], driver.fields("other.json")["status"]) == ("RUNNING", "RUNNING")
    driver.drain(RESULTS, REQUESTS)
    assert driver.fields(path)["status"] == "RERUN"


def test_what_comes_after_a_void_edit_is_void(driver: LedgerDriver) -> None:
    """An edit that has to come after a void one is void too, and both requests are marked."""
    first, second = driver.stage_some(2)
    driver.put(first, {"status": "CANCELLED"})
    driver.ledger.stage(REQUESTS, driver.edit(second, f"run {second}", after=(f"run {first}",)))
    driver.drain()
    driver.drain()
    assert (driver.titles(), driver.staged()) == ([], [])
    assert driver.fields(second)["status"] == "PENDING"
    assert {f"request:{first}", f"request:{second}"} <= driver.marked()


def test_a_file_that_exists_counts_as_written(driver: LedgerDriver) -> None:
    """A result that exists in the repo costs no commit, and its edit counts as landed."""
    driver.put("result.json", {"mine": 1}, RESULTS)
    driver.ledger.stage(RESULTS, driver.result("result"))
    driver.drain(RESULTS)
    assert (driver.titles(RESULTS), driver.fields("result.json", RESULTS)) == ([], {"mine": 1})
    assert driver.ledger.edits.landed("result")


def test_fields_of_a_file_in_lfs_are_set_without_taking_it_out(driver: LedgerDriver) -> None:
    """A request file in LFS is edited like any other, and stays in LFS."""
    attributes = b"*.big.json filter=lfs diff=lfs merge=lfs -text\n"
    driver.commit([ledger_driver.CommitOperationAdd(".gitattributes", attributes)], REQUESTS)
    driver.put("m.big.json", {"status": "PENDING"})
    driver.ledger.stage(REQUESTS, driver.edit("m.big.json", "run"))
    driver.drain()
    assert driver.fields("m.big.json")["status"] == "RUNNING"
    assert len(driver.hub.read_file(REQUESTS, "m.big.json").oid) == 64


def test_a_large_file_goes_the_way_of_large_files(driver: LedgerDriver) -> None:
    """A result that the repo's attributes put into LFS is uploaded whole, and its edit is dropped."""
    put = driver.result("scores").model_copy(update={"path": "table.parquet", "data": os.urandom(4_000)})
    driver.ledger.stage(RESULTS, put)
    driver.drain(RESULTS)
    assert driver.hub.read_file(RESULTS, "table.parquet").data == put.data
    assert driver.staged(RESULTS) == []


def test_commits_are_counted_as_deliveries_to_come(driver: LedgerDriver) -> None:
    """Each commit counts as one delivery; when 70 % of the day's quota is used, the bot is told to poll."""
    driver.stage_some(1)
    driver.drain()
    webhook_quota = driver.webhook_quota
    assert webhook_quota.counts(now=driver.time) == {("own", "repo.content", "board/requests"): 1}
    assert (webhook_quota.judge(now=driver.time), driver.redis.exists(driver.keys.poll)) == ("", 0)
    for _ in range(int(0.7 * QUOTA)):
        webhook_quota.caused("discussion", "board/requests", now=driver.time)
    assert "700 of 1,000 deliveries about discussion of board/requests" in webhook_quota.judge(now=driver.time)
    assert driver.redis.exists(driver.keys.poll)
    assert webhook_quota.own_left("discussion", "board/requests", now=driver.time) == 0
    assert webhook_quota.own_left("discussion", "board/results", now=driver.time) == 500
    assert webhook_quota.judge(now=driver.time + DAY + HOUR) == ""
    assert not driver.redis.exists(driver.keys.poll)
    assert driver.redis.hlen(driver.keys.webhook_quota) == 0


def test_a_staged_edit_marks_its_ledger_as_urgent(driver: LedgerDriver) -> None:
    """The key of a ledger with a staged edit is synced before keys of events, because people wait for edits."""
    driver.dirty.mark("request:x", due=driver.time - 1, priority=SyncPriority.EVENT)
    driver.ledger.stage(RESULTS, driver.result("result"))
    claim = driver.dirty.claim(now=driver.time, lease=1)
    assert claim is not None
    assert (claim.key, claim.priority) == ("ledger:board/results", SyncPriority.PERSON)


def test_a_small_budget_is_kept_too(local_hub: LocalHub, connection: redis.Redis) -> None:
    """With a budget of three commits an hour, the ledger writes eight results in at most four commits and two hours."""
    driver = LedgerDriver(local_hub.url, connection, budget=Commits(hour=3))
    began = driver.time
    for path in driver.stage_some(8):
        driver.ledger.stage(RESULTS, driver.result(f"r {path}".replace("/", "-")))
        driver.write(RESULTS)
    assert len(driver.titles(RESULTS)) <= 3
    driver.drain(RESULTS)
    assert len(driver.titles(RESULTS)) <= 4
    assert driver.time - began <= 2 * HOUR
    driver.hub.close()


def test_a_restore_takes_changes_to_files_back_in_one_commit(driver: LedgerDriver) -> None:
    """A restore removes a new file and brings back changed and removed ones; a file that changed since stays."""
    driver.commit([ledger_driver.CommitOperationAdd(name, b"new") for name in ("new", "changed", "touched")], REQUESTS)
    new_content = blob_id(b"new")
    takes = [
        RestoreFile(id="1", path="new", line="Take back", data=None, left=new_content),
        RestoreFile(id="2", path="changed", line="Take back", data=b"old", left=new_content),
        RestoreFile(id="3", path="removed", line="Take back", data=b"old", left=None),
        RestoreFile(id="4", path="touched", line="Take back", data=b"old", left=new_content),
    ]
    driver.put("touched", b"since")
    driver.ledger.stage(REQUESTS, *takes)
    driver.write()
    present = {name: driver.hub.find_file(REQUESTS, name) for name in ("new", "changed", "removed", "touched")}
    assert {name: file and file.data for name, file in present.items()} == {
        "new": None,
        "changed": b"old",
        "removed": b"old",
        "touched": b"since",
    }
    assert driver.titles() == ["Take back"]
    assert driver.staged() == []
