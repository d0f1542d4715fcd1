"""The ledger against a real Hub protocol and a real queue server: few commits, nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.ledger.edits import FieldEdit, RestoreFile, blob_id
from hub.budget import DAY, HOUR, Commits
from localhub.testing import LocalHub
from redis_state.dirty import SyncPriority
from redis_state.webhook_quota import QUOTA
from tests.support.board import ledger_driver
from tests.support.board.ledger_driver import REQUESTS, RESULTS, WORLD, LedgerDriver
from tests.support.sizes import WHOLE


@pytest.fixture
def local_hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A Hub with two shared repos."""
    with LocalHub(tmp_path, WORLD) as hub:
        yield hub


@pytest.fixture
def bench(local_hub: LocalHub, connection: redis.Redis) -> Iterator[LedgerDriver]:
    """A ledger on that Hub."""
    driver = LedgerDriver(local_hub.url, connection)
    yield driver
    driver.hub.close()


def test_a_single_edit_goes_out_at_once_in_two_calls(bench: LedgerDriver) -> None:
    """An edit of an unchanged file is one commit and one read; the waiting key is marked, and nothing stays staged."""
    (path,) = bench.stage_some(1)
    assert bench.ledger.edits.is_pending(path)
    assert bench.marked() == {"ledger:board/requests"}
    bench.calls.clear()
    assert bench.write() is None
    assert bench.calls == ["commit", "paths-info"]
    assert bench.fields(path) == {"status": "RUNNING", "params": 1}
    assert f"request:{path}" in bench.marked()
    edits = bench.ledger.edits
    assert (bench.staged(), edits.is_pending(path), edits.landed(f"run {path}")) == ([], False, True)


def test_what_gathers_meanwhile_is_one_commit(bench: LedgerDriver) -> None:
    """After a few commits the next one waits, without a call, and then holds everything that is staged."""
    paths = bench.stage_some(30)
    for path in paths[:5]:
        bench.ledger.end(REQUESTS, next(s for s in bench.ledger.edits.read(REQUESTS) if s.edit.path == path), "void")
        bench.ledger.stage(REQUESTS, bench.result(f"r {path}"))
        assert bench.ledger.budget.spend(REQUESTS)
    bench.calls.clear()
    when = bench.write()
    assert when is not None
    assert bench.time < when < bench.time + 5
    assert (bench.calls, len(bench.staged())) == (["whoami", "commits"], 30)  # the earlier commits are counted, once
    bench.time = when
    assert bench.write() is None
    assert len(bench.titles()) == 1
    assert bench.staged() == []
    assert {bench.fields(path)["status"] for path in paths[5:]} == {"RUNNING"}


def test_the_commit_tells_machines_what_it_did(bench: LedgerDriver) -> None:
    """Each line of the description that is an object names an edit, its file and the new status."""
    paths = bench.stage_some(3)
    bench.drain()
    entry = bench.hub.commits(REQUESTS, limit=1)[0]
    changes = [json.loads(line) for line in entry.message.splitlines() if line.startswith("{")]
    assert [(one["path"], one["status"]) for one in changes] == [(path, "RUNNING") for path in paths]
    assert entry.title == "RUNNING o/m0.json and 2 more"


def test_a_persons_change_to_another_field_survives(bench: LedgerDriver) -> None:
    """A person changes another field between staging and landing: the file has both changes, in two commits."""
    (path,) = bench.stage_some(1)
    bench.put(path, {"status": "PENDING", "params": 7, "new": "x"})
    bench.drain()
    assert bench.fields(path) == {"status": "RUNNING", "params": 7, "new": "x"}
    assert len(bench.titles()) == 1


@pytest.mark.parametrize("deleted", [False, True])
def test_a_persons_change_to_a_guarded_field_voids_the_edit_and_wakes(bench: LedgerDriver, deleted: bool) -> None:
    """A file that a person cancels or deletes stays so; the edit ends without a commit, and marks its request."""
    (path,) = bench.stage_some(1)
    if deleted:
        bench.delete(path)
    else:
        bench.put(path, {"status": "CANCELLED"})
    bench.drain()
    assert bench.fields(path) == (None if deleted else {"status": "CANCELLED"})
    assert (bench.titles(), bench.staged()) == ([], [])
    assert f"request:{path}" in bench.marked()
    assert not bench.ledger.edits.landed(f"run {path}")


def test_hundreds_of_edits_stay_within_the_budget_and_in_order(bench: LedgerDriver) -> None:
    """Edits of 50 files over two hours: all land, each file's in order, under 60 commits in any hour."""
    paths = [f"o/m{n}.json" for n in range(50)]
    bench.commit([ledger_driver.CommitOperationAdd(path, b'{"n": 0}') for path in paths], REQUESTS)
    edits = 1_000 if WHOLE else 200
    chance, began, steps = random.Random(7), bench.time, dict.fromkeys(paths, 0)
    spent: list[float] = []
    for _ in range(edits):
        path = chance.choice(paths)
        n = steps[path] = steps[path] + 1
        edit = FieldEdit(id=f"{path} {n}", path=path, line="Count", fields={"n": n}, guard={"n": (n - 1,)})
        bench.ledger.stage(REQUESTS, edit)
        bench.time += chance.expovariate(edits / (2 * HOUR))
        before = len(bench.calls)
        bench.write()
        if "commit" in bench.calls[before:]:
            spent.append(bench.time)
    bench.drain()
    assert {path: bench.fields(path)["n"] for path in paths} == steps
    assert all(bench.ledger.edits.landed(f"{path} {n}") for path in paths for n in range(1, steps[path] + 1))
    assert bench.time - began < 2.2 * HOUR
    assert len(spent) < 120
    assert max(len([t for t in spent if at - HOUR < t <= at]) for at in spent) <= 60
    assert len(bench.titles()) <= len(spent) + 2


def finish_after_result(bench: LedgerDriver) -> str:
    """A running request whose FINISHED comes after a result; its path."""
    (path,) = bench.stage_some(1)
    bench.drain()
    finish = bench.edit(path, "finish", was="RUNNING", becomes="FINISHED", after=("result",))
    bench.ledger.stage(RESULTS, bench.result("result"))
    bench.ledger.stage(REQUESTS, finish)
    return path


def test_an_edit_waits_for_those_that_it_comes_after(bench: LedgerDriver) -> None:
    """FINISHED is written only after the results; when they have landed, its ledger is marked."""
    path = finish_after_result(bench)
    assert bench.write() is None
    assert bench.fields(path)["status"] == "RUNNING"
    bench.redis.delete(bench.keys.dirty)
    assert bench.write(RESULTS) is None
    assert bench.marked() == {"request:r", "ledger:board/requests"}
    bench.drain()
    assert bench.fields(path)["status"] == "FINISHED"
    assert bench.fields("result.json", RESULTS) == {}


def test_later_edits_of_a_file_wait_behind_an_earlier_one(bench: LedgerDriver) -> None:
    """Edits of one file keep their order even if the first has to wait; other files are written meanwhile."""
    path = finish_after_result(bench)
    bench.put("other.json", {"status": "PENDING"})
    bench.ledger.stage(REQUESTS, bench.edit(path, "reopen", was="FINISHED", becomes="RERUN"))
    bench.ledger.stage(REQUESTS, bench.edit("other.json", "other"))
    bench.drain()
    assert (bench.fields(path)["status"], bench.fields("other.json")["status"]) == ("RUNNING", "RUNNING")
    bench.drain(RESULTS, REQUESTS)
    assert bench.fields(path)["status"] == "RERUN"


def test_what_comes_after_a_void_edit_is_void(bench: LedgerDriver) -> None:
    """An edit that follows a void one is void too, and both requests are marked."""
    first, second = bench.stage_some(2)
    bench.put(first, {"status": "CANCELLED"})
    bench.ledger.stage(REQUESTS, bench.edit(second, f"run {second}", after=(f"run {first}",)))
    bench.drain()
    bench.drain()
    assert (bench.titles(), bench.staged()) == ([], [])
    assert bench.fields(second)["status"] == "PENDING"
    assert {f"request:{first}", f"request:{second}"} <= bench.marked()


def test_a_file_that_exists_counts_as_written(bench: LedgerDriver) -> None:
    """A result that exists in the repo costs no commit, and its edit counts as landed."""
    bench.put("result.json", {"mine": 1}, RESULTS)
    bench.ledger.stage(RESULTS, bench.result("result"))
    bench.drain(RESULTS)
    assert (bench.titles(RESULTS), bench.fields("result.json", RESULTS)) == ([], {"mine": 1})
    assert bench.ledger.edits.landed("result")


def test_fields_of_a_file_in_lfs_are_set_without_taking_it_out(bench: LedgerDriver) -> None:
    """A request file in LFS is edited like any other, and stays in LFS."""
    attributes = b"*.big.json filter=lfs diff=lfs merge=lfs -text\n"
    bench.commit([ledger_driver.CommitOperationAdd(".gitattributes", attributes)], REQUESTS)
    bench.put("m.big.json", {"status": "PENDING"})
    bench.ledger.stage(REQUESTS, bench.edit("m.big.json", "run"))
    bench.drain()
    assert bench.fields("m.big.json")["status"] == "RUNNING"
    assert len(bench.hub.read_file(REQUESTS, "m.big.json").oid) == 64


def test_a_large_file_goes_the_way_of_large_files(bench: LedgerDriver) -> None:
    """A file that the repo's attributes put into LFS is recognised by its sha256."""
    put = bench.result("scores").model_copy(update={"path": "table.parquet", "data": os.urandom(4_000)})
    bench.ledger.stage(RESULTS, put)
    bench.drain(RESULTS)
    assert bench.hub.read_file(RESULTS, "table.parquet").data == put.data
    assert bench.staged(RESULTS) == []


def test_commits_are_counted_as_deliveries_to_come(bench: LedgerDriver) -> None:
    """Each commit is one delivery about the content of its repo; past seven tenths of the quota the flag says: poll."""
    bench.stage_some(1)
    bench.drain()
    webhook_quota = bench.webhook_quota
    assert webhook_quota.counts(now=bench.time) == {("own", "repo.content", "board/requests"): 1}
    assert (webhook_quota.judge(now=bench.time), bench.redis.exists(bench.keys.poll)) == ("", 0)
    for _ in range(int(0.7 * QUOTA)):
        webhook_quota.caused("discussion", "board/requests", now=bench.time)
    assert "700 of 1,000 deliveries about discussion of board/requests" in webhook_quota.judge(now=bench.time)
    assert bench.redis.exists(bench.keys.poll)
    assert webhook_quota.own_left("discussion", "board/requests", now=bench.time) == 0
    assert webhook_quota.own_left("discussion", "board/results", now=bench.time) == 500
    assert webhook_quota.judge(now=bench.time + DAY + HOUR) == ""
    assert not bench.redis.exists(bench.keys.poll)
    assert bench.redis.hlen(bench.keys.webhook_quota) == 0


def test_a_staged_edit_marks_its_ledger_as_urgent(bench: LedgerDriver) -> None:
    """People wait for edits: the key of their ledger goes before those of events."""
    bench.dirty.mark("request:x", due=bench.time - 1, priority=SyncPriority.EVENT)
    bench.ledger.stage(RESULTS, bench.result("result"))
    claim = bench.dirty.claim(now=bench.time, lease=1)
    assert claim is not None
    assert (claim.key, claim.priority) == ("ledger:board/results", SyncPriority.PERSON)


def test_a_small_budget_is_kept_too(local_hub: LocalHub, connection: redis.Redis) -> None:
    """The budget is a setting: three commits an hour are three, with everything in them."""
    bench = LedgerDriver(local_hub.url, connection, budget=Commits(hour=3))
    began = bench.time
    for path in bench.stage_some(8):
        bench.ledger.stage(RESULTS, bench.result(f"r {path}".replace("/", "-")))
        bench.write(RESULTS)
    assert len(bench.titles(RESULTS)) <= 3
    bench.drain(RESULTS)
    assert len(bench.titles(RESULTS)) <= 4
    assert bench.time - began <= 2 * HOUR
    bench.hub.close()


def test_a_restore_takes_changes_to_files_back_in_one_commit(bench: LedgerDriver) -> None:
    """A restore removes a new file and brings back changed and removed ones; a file that changed since stays."""
    bench.commit([ledger_driver.CommitOperationAdd(name, b"new") for name in ("new", "changed", "touched")], REQUESTS)
    new_content = blob_id(b"new")
    takes = [
        RestoreFile(id="1", path="new", line="Take back", data=None, left=new_content),
        RestoreFile(id="2", path="changed", line="Take back", data=b"old", left=new_content),
        RestoreFile(id="3", path="removed", line="Take back", data=b"old", left=None),
        RestoreFile(id="4", path="touched", line="Take back", data=b"old", left=new_content),
    ]
    bench.put("touched", b"since")
    bench.ledger.stage(REQUESTS, *takes)
    bench.write()
    present = {name: bench.hub.find_file(REQUESTS, name) for name in ("new", "changed", "removed", "touched")}
    assert {name: file and file.data for name, file in present.items()} == {
        "new": None,
        "changed": b"old",
        "removed": b"old",
        "touched": b"since",
    }
    assert bench.titles() == ["Take back"]
    assert bench.staged() == []
