"""Duplicate requests: the bot reports a pair once, in a thread with a plan that a maintainer approves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from huggingface_hub import HfApi

from bot.changes import duplicates
from bot.changes.duplicates import DUPLICATES
from leaderboard.duplicates import find_duplicates, possible_duplicates
from leaderboard.requests import Request, parse_request
from localhub.testing import LocalHub
from steward.testing.board import REQUESTS, BoardDriver
from steward.valkey import Valkey
from tests.support.board.pull_requests import board_on
from tests.support.board.renames import MAYA, comments, look_at, maintained, path, rename_world, request

TWICE = "ada/solo_eval_request_True_float16_Original.json"
KEPT = {
    path("ada/solo"): request("ada/solo", steward={"results": "ada/solo/results_1.json"}),
    TWICE: request("ada/solo", status="FAILED"),
    path("ada/solo", "4bit"): request("ada/solo", "4bit"),
    path("ada/puma"): request("ada/puma", revision="a"),
    "ada/Puma_eval_request_False_float16_Original.json": request("ada/Puma", revision="b"),
}


def read(files: dict[str, bytes]) -> list[Request]:
    """The requests in `files`."""
    parsed = [parse_request(where, data) for where, data in files.items()]
    return [outcome for outcome in parsed if isinstance(outcome, Request)]


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        ({}, [TWICE]),
        ({"status": "CANCELLED"}, []),
        ({"revision": "other"}, []),
        ({"use_chat_template": True}, []),
        ({"status": "FINISHED", "submitted_time": "2020-01-01T00:00:00Z"}, [path("ada/solo")]),
    ],
)
def test_what_is_there_twice_and_which_of_both_stays(change: dict[str, Any], lost: list[str]) -> None:
    """Requests with equal commit, precision, weights and template are duplicates; the finished or earlier one stays."""
    files = {path("ada/solo"): request("ada/solo"), TWICE: request("ada/solo", **{"status": "FAILED", **change})}
    assert possible_duplicates(files) == [tuple(sorted(files))]
    assert [str(pair.lose.path) for pair in find_duplicates(read(files))] == lost


@pytest.fixture
def stand(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[BoardDriver]:
    """A board that Maya maintains, with one pair of duplicate requests, and others that are only similar."""
    with LocalHub(tmp_path_factory.mktemp("hub"), rename_world()) as hub, redis.Redis.from_url(valkey.url) as client:
        client.flushall()
        with board_on(hub, client, KEPT) as driver:
            maintained(driver)
            yield driver


def test_a_pair_is_told_once_and_cured_when_a_maintainer_approves(stand: BoardDriver) -> None:
    """The bot opens one thread for a pair, even if Redis is lost; on approval it cancels the second request."""
    for _ in range(2):
        stand.context.mark(DUPLICATES)
        stand.work()
        stand.context.redis.flushall()
        stand.context.mark("requests")
        stand.work()
    (opened,) = [thread for thread in stand.threads() if thread.title == "Requests twice: ada/solo"]
    text = "\n".join(comments(stand, REQUESTS, opened.num))
    assert f"[{TWICE}]" in text
    digest = text.partition("/approve ")[2][:8]
    maya = HfApi(stand.hub.url, token=MAYA)
    maya.comment_discussion(REQUESTS, opened.num, comment=f"/approve {digest}", repo_type="dataset")
    stand.time += 60
    look_at(stand, REQUESTS, opened.num)
    assert json.loads(stand.read(TWICE))["status"] == "CANCELLED"
    assert "It is there twice" in json.loads(stand.read(TWICE))["steward"]["cancelled"]["reason"]
    assert json.loads(stand.read(path("ada/solo")))["status"] == "FINISHED"
    stand.context.mark(DUPLICATES)
    stand.work()
    assert len([thread for thread in stand.threads() if "twice" in thread.title]) == 1


def test_unresolved_pairs_keep_no_other_from_being_reported(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one new thread a pass, the bot reports the second pair in the second pass, and then makes no Hub call."""
    monkeypatch.setattr(duplicates, "MAX_REPORTED", 1)
    stand.put("ada/solo_eval_request_True_4bit_Original.json", request("ada/solo", "4bit", status="FAILED"))
    stand.settle()
    for reported in (1, 2, 2):
        stand.calls.clear()
        stand.context.mark(DUPLICATES)
        stand.work()
        assert len([thread for thread in stand.threads() if "twice" in thread.title]) == reported
    assert stand.calls == []
