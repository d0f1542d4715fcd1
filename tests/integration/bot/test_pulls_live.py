"""Pull requests of outsiders on a running board: webhooks reach its web server, and sync threads check and merge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from huggingface_hub import CommitOperationAdd

from bot.probe import Probe
from bot.pulls import pull
from localhub.testing import LocalHub
from steward.testing.board import REQUESTS, BoardDriver
from steward.testing.hub import board_world
from steward.testing.running import running
from steward.testing.waiting import wait_until
from tests.support.board.pull_requests import (
    PATH,
    board_on,
    bot_comments,
    comments_of_kind,
    fields,
    look,
    policy,
    propose,
    report,
    thread,
)


@pytest.fixture
def live(tmp_path: Path, connection: redis.Redis, valkey_url: str, probe: Probe) -> Iterator[BoardDriver]:
    """A running board that merges pull requests that pass."""
    with running(tmp_path, board_world(), connection, valkey_url, probe) as stand:
        policy(stand, "merge")
        yield stand


def test_four_pull_requests_four_reports_one_merge(live: BoardDriver) -> None:
    """Wrong path, false date, extra file: only the fourth, valid one is merged; a push then voids a report."""
    brought = {
        "path": {f"requests/{PATH.rpartition('/')[2]}": fields(live)},
        "date": {PATH: fields(live, submitted_time="2019-01-01T00:00:00Z")},
        "extra": {PATH: fields(live), "results.json": {"average": 100}},
        "right": {PATH: fields(live)},
    }
    opened = {name: propose(live, files, title=f"Add {name}") for name, files in brought.items()}
    numbers = [number for number, _ in opened.values()]
    wait_until(lambda: all(comments_of_kind(live, number) for number in numbers), seconds=60)
    wait_until(lambda: thread(live, opened["right"][0]).status == "merged", seconds=60)
    wait_until(lambda: comments_of_kind(live, opened["right"][0], "status"), seconds=60)
    words = {
        "path": "Not yet",
        "date": "2019-01-01T00:00:00Z",
        "extra": "`results.json` is new, but is no request",
        "right": "exactly as I checked it",
    }
    for name, (number, _) in opened.items():
        assert words[name] in report(live, number)
        assert len(comments_of_kind(live, number)) == 1
    assert [thread(live, number).status for number in numbers] == ["open", "open", "open", "merged"]
    assert live.commits() == 2  # the first of all, and the one merge

    number, head = opened["path"]
    _, pushed = propose(live, {"requests/x.txt": b"x"}, number=number)
    wait_until(lambda: f"Checked at `{pushed[:8]}`" in report(live, number), seconds=60)
    assert f"An earlier report, on `{head[:8]}`, is void" in report(live, number)
    assert bot_comments(live, number) == 1


@pytest.mark.long("two seconds of a processor")
def test_ten_thousand_files_are_turned_away_in_a_few_calls(
    tmp_path: Path, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bot leaves a pull request with 10,000 files or a very large diff to people, and reads only its diff."""
    with LocalHub(tmp_path, board_world()) as hub, board_on(hub, connection, {}) as stand:
        adds = [
            CommitOperationAdd(f"o{n % 100}/m{n}_eval_request_False_float16_Original.json", b"{}")
            for n in range(10_000)
        ]
        opened = stand.ada.create_commit(REQUESTS, adds, commit_message="All", repo_type="dataset", create_pr=True)
        number = int(opened.pr_num or 0)
        assert look(stand, number) == ["thread", "thread", "thread", "comment"]
        assert "has 10,000 request files" in report(stand, number)
        monkeypatch.setattr(pull, "MAX_DIFF", 100_000)
        number, _ = propose(stand, {"large.txt": b"line\n" * 30_000})
        assert look(stand, number) == ["thread", "thread", "thread", "thread", "comment"]
        assert "too large for me to read" in report(stand, number)
