"""What the ledger records of its commits, and when it drops an edit, against a real Hub protocol and queue server."""

from __future__ import annotations

import pytest

from hub.budget import DAY, HOUR
from hub.records import FileEntry, Repo
from tests.support.board.ledger_driver import REQUESTS, LedgerDriver


def test_an_edit_that_its_commit_does_not_show_stays_staged(
    driver: LedgerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a commit the ledger drops only edits whose files the repo shows as written, and writes the others again."""
    first, second = driver.stage_some(2)
    look = driver.hub.paths_info

    def without_second(repo: Repo, paths: list[str], revision: str) -> dict[str, FileEntry]:
        return {path: entry for path, entry in look(repo, paths, revision).items() if path != second}

    monkeypatch.setattr(driver.hub, "paths_info", without_second)
    assert driver.write() is not None
    assert driver.staged() == [f"run {second}"]
    monkeypatch.undo()
    driver.drain()
    assert driver.staged() == []
    assert {driver.fields(path)["status"] for path in (first, second)} == {"RUNNING"}


def test_commits_of_earlier_days_are_forgotten(driver: LedgerDriver) -> None:
    """The ledger's record of a repo's commits holds only those of the last day."""
    for _ in range(3):
        driver.stage_some(1)
        driver.drain()
        driver.time += DAY / 2 + HOUR
    assert driver.redis.zcard(driver.keys.commits(REQUESTS.id)) == 2
