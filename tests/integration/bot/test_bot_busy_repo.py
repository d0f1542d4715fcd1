"""A repo with many commits of others: the bot leaves them their share of the hourly limit, and rereads little."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog

from hub.budget import HOUR, REPO_HOUR
from hub.records import Repo
from localhub.testing import LocalHub
from redis_state.webhook_quota import field
from steward.testing.board import BoardDriver
from tests.support.board.ledger_driver import RESULTS, WORLD, LedgerDriver


@pytest.fixture
def driver(tmp_path: Path, connection: redis.Redis) -> Iterator[LedgerDriver]:
    """A ledger on a Hub with two shared repos, at the beginning of an hour."""
    with LocalHub(tmp_path, WORLD) as hub:
        started = LedgerDriver(hub.url, connection, time=2e9 - 2e9 % HOUR)
        yield started
        started.hub.close()


def came_in(driver: LedgerDriver, deliveries: int) -> None:
    """Count so many webhook deliveries about commits to the results repo."""
    driver.redis.hincrby(
        driver.keys.webhook_quota, field("all", "repo.content", RESULTS.id, now=driver.time), deliveries
    )


def commits_within_an_hour(driver: LedgerDriver) -> int:
    """Stage an edit every minute for an hour, count each commit as a delivery too, and return the number of commits."""
    before = count = len(driver.titles(RESULTS))
    for number in range(59):
        driver.ledger.stage(RESULTS, driver.result(f"r{number}"))
        driver.write(RESULTS)
        now = len(driver.titles(RESULTS))
        came_in(driver, now - count)
        count = now
        driver.time += 60
    return count - before


def test_a_busy_hour_of_others_leaves_fewer_commits_to_us(driver: LedgerDriver) -> None:
    """After 85 commits of others in an hour, the bot makes only as many as stay within the Hub's limit per repo."""
    came_in(driver, 85)
    ours = commits_within_an_hour(driver)
    assert 5 <= ours <= REPO_HOUR - 85


def test_an_edit_that_waits_for_commits_of_others_is_tried_again_soon(driver: LedgerDriver) -> None:
    """An edit that waits for commits of others is tried again within a minute, and committed when they stop."""
    came_in(driver, 120)
    for number in range(5):
        driver.ledger.stage(RESULTS, driver.result(f"r{number}"))
        when = driver.write(RESULTS)
    assert when is not None
    assert driver.time < when <= driver.time + 60
    driver.redis.delete(driver.keys.webhook_quota)
    driver.time = when
    assert driver.write(RESULTS) is None


def test_our_own_commits_come_back_and_are_not_held_against_us(driver: LedgerDriver) -> None:
    """Deliveries of the bot's own commits do not count as commits of others, and counts of an earlier hour expire."""
    webhook_quota = driver.webhook_quota
    for _ in range(40):
        webhook_quota.caused("repo.content", RESULTS.id, now=driver.time)
    came_in(driver, 40)
    assert webhook_quota.of_others("repo.content", RESULTS.id, now=driver.time) == 0
    came_in(driver, 20)
    fading = [
        webhook_quota.of_others("repo.content", RESULTS.id, now=driver.time + n * HOUR) for n in (0, 0.5, 1, 1.5, 2)
    ]
    assert fading == [20, 20, 20, 10, 0]


def test_commits_between_the_look_and_the_fetch_cost_no_comparison(stand: BoardDriver, monkeypatch: Any) -> None:
    """If more commits arrive while the mirror fetches, the poll still reads only what is new, not every file."""
    stand.submit("ada/strange")  # refused: the bot's own commit is the newest, which no mirror has
    stand.settle()
    stand.settle()
    first = stand.submit("ada/pickled")
    fetch = stand.context.mirror.fetch

    def late(repo: Repo, *, depth: int) -> str:
        stand.submit("ada/remote")
        monkeypatch.setattr(stand.context.mirror, "fetch", fetch)
        return fetch(repo, depth=depth)

    monkeypatch.setattr(stand.context.mirror, "fetch", late)
    with structlog.testing.capture_logs() as logs:
        stand.settle()
        stand.settle()
    looks = [entry for entry in logs if entry["event"].startswith("requests repo")]
    assert {entry["event"] for entry in looks} == {"requests repo"}
    assert stand.file(first)["status"] == "FAILED"
    assert stand.context.index.count() == 3
