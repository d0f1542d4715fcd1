"""The ledger while the Hub fails, refuses or limits its commits, others write, and its process is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis
from huggingface_hub import CommitOperationAdd

from bot.ledger.ledger import APPLIED, LANDED, SEEN
from hub.budget import DAY, HOUR, REPO_HOUR, Commits
from hub.errors import Denied, RateLimited, Transient
from hub.retries import Retries
from localhub.testing import LocalHub
from tests.support.board import ledger_driver
from tests.support.board.ledger_driver import BOT, REQUESTS, RESULTS, LedgerDriver

COMMIT = "POST /api/datasets/board/requests/commit/main"


def test_a_persons_change_in_the_instant_of_the_commit_survives(
    driver: LedgerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person commits between each read and commit of the ledger: the file keeps their change and gets the edit."""
    (path,) = driver.stage_some(1)
    driver.put("other.json", {})  # the staged view is old: the ledger has to read the file
    push, remaining = driver.hub._post, [1, 2, 3]

    def interrupted(*args: object, **kwargs: object) -> object:
        if remaining:
            driver.put(path, {"status": "PENDING", "params": remaining.pop()})
        return push(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(driver.hub, "_post", interrupted)
    driver.drain()
    assert driver.fields(path) == {"status": "RUNNING", "params": 1}
    assert len(driver.titles()) == 1


def test_a_commit_that_landed_although_the_hub_says_500_is_not_made_again(
    driver: LedgerDriver, local_hub: LocalHub
) -> None:
    """If the Hub makes the commit but answers 500, the ledger makes no second one, and drops the edit."""
    (path,) = driver.stage_some(1)
    local_hub.state.faults.fail_after(COMMIT, status=500, times=1)
    driver.drain()
    assert (len(driver.titles()), driver.staged()) == (1, [])
    assert driver.fields(path)["status"] == "RUNNING"


def test_an_edit_whose_commit_was_not_confirmed_is_found_by_the_next_sync(
    driver: LedgerDriver, local_hub: LocalHub
) -> None:
    """If no try learns of the commit, the edit stays staged; the next sync finds it in the repo and commits nothing."""
    (path,) = driver.stage_some(1)
    local_hub.state.faults.fail_after(COMMIT, status=500, times=1)
    local_hub.state.faults.fail("GET /api/datasets/board/requests/commits/main", status=500, times=9)
    with pytest.raises(Transient):
        driver.write()
    assert driver.staged() == [f"run {path}"]
    local_hub.state.faults.clear()
    driver.drain()
    assert (len(driver.titles()), driver.staged()) == (1, [])
    assert f"request:{path}" in driver.marked()


def test_a_stale_parent_and_a_busy_repo_are_got_over(driver: LedgerDriver, local_hub: LocalHub) -> None:
    """After a 409 while another commit is under way and two 412, the ledger tries again and makes one commit."""
    (path,) = driver.stage_some(1)
    busy = "Another commit is in progress; please try again."
    local_hub.state.faults.fail(COMMIT, status=409, times=1, error=busy)
    local_hub.state.faults.fail(
        COMMIT, status=412, times=2, error="A commit has happened since. Please refresh and try again."
    )
    driver.drain()
    assert (driver.fields(path)["status"], len(driver.titles())) == ("RUNNING", 1)


def test_a_commit_quota_told_in_words_alone_is_waited_for(driver: LedgerDriver, local_hub: LocalHub) -> None:
    """After a 429 without Retry-After, the ledger makes no call for this repo until the time in the error's text."""
    (path,) = driver.stage_some(1)
    words = (
        "You have exceeded the rate limit for repository commits (128 per hour). You can retry this action in 1 hour."
    )
    local_hub.state.faults.fail(COMMIT, status=429, times=1, error=words)
    with pytest.raises(RateLimited) as limited:
        driver.write()
    assert limited.value.what == "commits"
    driver.calls.clear()
    driver.ledger.stage(REQUESTS, driver.edit(path, "another"))
    driver.calls.clear()
    assert driver.write() == driver.time + HOUR
    assert driver.calls == []
    driver.time += HOUR
    driver.drain()
    assert driver.fields(path)["status"] == "RUNNING"


def test_an_edit_that_the_hub_never_takes_holds_up_no_other(driver: LedgerDriver) -> None:
    """The ledger parks the key of an edit with an invalid path, with the reason, and commits all others."""
    paths = driver.stage_some(7)
    bad = driver.result("bad").model_copy(update={"path": "../bad.json", "wake": ("request:bad",)})
    driver.ledger.stage(REQUESTS, bad)
    driver.drain()
    assert {driver.fields(path)["status"] for path in paths} == {"RUNNING"}
    assert driver.staged() == []
    (parked,) = driver.parking.all()
    assert (parked.key, "../bad.json" in parked.error) == ("request:bad", True)


def test_what_the_token_may_not_write_stays_staged(driver: LedgerDriver, local_hub: LocalHub) -> None:
    """After a 403 the ledger raises an error, and all edits of the repo stay staged."""
    driver.stage_some(3)
    local_hub.state.faults.fail(COMMIT, status=403, times=1, error="Forbidden")
    with pytest.raises(Denied):
        driver.write()
    assert len(driver.staged()) == 3


def test_two_writers_at_once_make_one_commit(driver: LedgerDriver, local_hub: LocalHub, valkey_url: str) -> None:
    """If two processes write the same edits at once, as after a lapsed lease, the edits are committed once."""
    paths = driver.stage_some(5)
    with redis.Redis.from_url(valkey_url) as second:
        other = LedgerDriver(local_hub.url, second, time=driver.time)
        threads = [threading.Thread(target=writer.drain) for writer in (driver, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        other.hub.close()
    assert (len(driver.titles()), driver.staged()) == (1, [])
    assert {driver.fields(path)["status"] for path in paths} == {"RUNNING"}


def test_an_edit_replaced_while_it_is_committed_is_written_again(
    driver: LedgerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newer version of an edit, staged during the commit of the older one, is not dropped with it."""
    put = driver.result("table").model_copy(update={"unless_exists": False})
    driver.ledger.stage(RESULTS, put)
    push = driver.hub._post

    def meanwhile(*args: object, **kwargs: object) -> object:
        monkeypatch.setattr(driver.hub, "_post", push)
        driver.ledger.stage(RESULTS, put.model_copy(update={"data": b'{"newer": 1}'}))
        return push(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(driver.hub, "_post", meanwhile)
    driver.write(RESULTS)
    assert driver.staged(RESULTS) == ["table"]
    driver.drain(RESULTS)
    assert driver.fields("table.json", RESULTS) == {"newer": 1}


@pytest.mark.long("a board, its edits and a killed writer for each effect")
@pytest.mark.parametrize("point", [APPLIED, LANDED, SEEN])
def test_a_writer_killed_between_effects_leads_to_the_same_end(
    driver: LedgerDriver, local_hub: LocalHub, valkey_url: str, project: Path, point: str
) -> None:
    """After a writer is killed between two effects, the next one leaves one commit, no staged edit, all keys marked."""
    paths = driver.stage_some(3)
    command = [sys.executable, "-m", ledger_driver.__name__, local_hub.url, valkey_url, str(driver.time)]
    environment = {**os.environ, "STEWARD_CRASH_AT": point, "PYTHONPATH": str(project)}
    died = subprocess.run(command, env=environment, timeout=60, check=False)
    assert died.returncode == -9
    assert driver.staged() != []
    assert len(driver.titles()) == (0 if point == APPLIED else 1)
    driver.drain()
    assert (len(driver.titles()), driver.staged()) == (1, [])
    assert {driver.fields(path)["status"] for path in paths} == {"RUNNING"}
    assert {f"request:{path}" for path in paths} <= driver.marked()
    assert not any(driver.ledger.edits.is_pending(path) for path in paths)


def test_a_clock_set_back_delays_commits_by_the_usual_wait(driver: LedgerDriver) -> None:
    """Commits that are recorded at future times count as made now: the wait is the usual one."""
    commits = {str(number): driver.time + DAY for number in range(10)}
    driver.redis.zadd(driver.keys.commits(REQUESTS.id), commits)
    driver.stage_some(1)
    when = driver.write()
    assert when is not None
    assert when < driver.time + 60
    driver.drain()
    assert len(driver.titles()) == 1


def test_retries_do_not_spend_the_budget(driver: LedgerDriver, local_hub: LocalHub) -> None:
    """A write that the ledger has to try four times counts as one commit."""
    driver.stage_some(1)
    driver.hub.retries = Retries(attempts=1)
    local_hub.state.faults.fail(COMMIT, status=412, times=3, error="A commit has happened since.")
    driver.drain()
    assert len(driver.ledger.budget.recorded(REQUESTS)) == 1


def test_a_busy_hour_is_remembered_when_redis_is_lost(local_hub: LocalHub, connection: redis.Redis) -> None:
    """Without a record of commits, the ledger reads all accounts' commits of the hour from the repo's history, once."""
    ours, others = 20, 75
    driver, clock = LedgerDriver(local_hub.url, connection), local_hub.state.clock
    driver.now = clock.seconds
    for number in range(ours):
        driver.ada.create_commit(
            RESULTS.id, [CommitOperationAdd(f"{number}", b"")], commit_message=".", repo_type="dataset", token=BOT
        )
    for number in range(others):
        driver.put(f"{number}", b"a", RESULTS)
    clock.advance(60)
    written = 0
    for number in range(60):  # a request after the other, a second apart
        driver.ledger.stage(RESULTS, driver.result(f"r{number}"))
        driver.calls.clear()
        written += driver.write(RESULTS) is None
        clock.advance(1)
    assert driver.webhook_quota.of_others("repo.content", RESULTS.id, now=clock.seconds()) >= others * 0.9
    assert len(driver.titles(RESULTS)) == ours + written
    assert ours + others + written <= REPO_HOUR + Commits().at_once
    times = driver.ledger.budget.recorded(RESULTS)
    assert len(times) == ours + written
    driver.calls.clear()
    assert driver.write(RESULTS) is not None
    assert driver.calls == []
    driver.hub.close()


def test_commits_of_a_repo_that_is_not_busy_are_never_counted(driver: LedgerDriver) -> None:
    """The ledger reads the history before the sixth commit within an hour, and only then."""
    read = []
    for number in range(9):
        driver.ledger.stage(RESULTS, driver.result(f"r{number}"))
        driver.calls.clear()
        driver.write(RESULTS)
        read.append(driver.calls.count("commits"))
        driver.time += HOUR if number < 2 else 60
    assert read == [0] * 7 + [1, 0]


def test_spending_the_budget_directly_counts_earlier_commits_too(driver: LedgerDriver) -> None:
    """A caller that spends from a repo's budget without the ledger first reads the repo's earlier commits."""
    assert all(driver.ledger.budget.spend(RESULTS) for _ in range(Commits().at_once))
    driver.calls.clear()
    driver.time += HOUR / 2
    assert driver.ledger.budget.spend(RESULTS)
    assert driver.calls == ["whoami", "commits"]
