"""What pull requests may not do, as tables of cases that run on one shared board."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from localhub.testing import LocalHub
from steward.testing.board import REQUESTS, BoardDriver
from steward.testing.hub import board_world
from steward.valkey import Valkey
from tests.support.board.pull_requests import PATH, board_on, fields, look, policy, propose, report, settled, thread


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[BoardDriver]:
    """A board that merges pull requests that pass."""
    with LocalHub(tmp_path_factory.mktemp("hub"), board_world()) as hub, redis.Redis.from_url(valkey.url) as client:
        client.flushall()
        with board_on(hub, client, {}) as driver:
            policy(driver, "merge")
            yield driver


WRONG: list[tuple[str, dict[str, Any], list[str]]] = [
    ("wrong folder", {f"x/y/{PATH}": {}}, ["folder"]),
    ("wrong name", {"ada/good.json": {}}, ["not the path of a request", f"Move it to {PATH}"]),
    ("made-up date", {PATH: {"submitted_time": "2021-03-04T00:00:00Z"}}, ["2021-03-04", "in UTC"]),
    ("future", {PATH: {"submitted_time": "2099-01-01T00:00:00Z"}}, ["2099-01-01"]),
    ("no date", {PATH: {"submitted_time": "yesterday"}}, ["no readable time"]),
    ("status", {PATH: {"status": "FINISHED"}}, ["status is 'FINISHED'"]),
    ("our own", {PATH: {"steward": {"attempt": 1}, "job_id": "x"}}, ["'steward'", "'job_id'"]),
    ("not json", {PATH: b"{"}, ["JSON"]),
    ("place", {PATH: {"model": "ada/other"}}, ["ada/other"]),
    ("deep", {PATH: {"x": json.loads("[" * 200 + "]" * 200)}}, ["nested deeper"]),
    ("large", {PATH: b"{" + b" " * 200_000 + b"}"}, ["larger than 100,000 bytes"]),
    ("model", {PATH.replace("good", "strange"): {"model": "ada/strange"}}, ["zork"]),
]


@pytest.mark.parametrize(("name", "files", "words"), WRONG, ids=[case[0] for case in WRONG])
def test_what_is_wrong_is_said_and_nothing_is_merged(
    stand: BoardDriver, name: str, files: dict[str, Any], words: list[str]
) -> None:
    """The report names each mistake, and the pull request stays open even on a board that merges by itself."""
    if stand.form.file_exists(REQUESTS, PATH, repo_type="dataset"):
        stand.form.delete_file(PATH, REQUESTS, repo_type="dataset")
    proposed = {
        path: fields(stand, **content) if isinstance(content, dict) else content for path, content in files.items()
    }
    number, _ = propose(stand, proposed)
    look(stand, number)
    text = report(stand, number)
    assert "Not yet" in text
    for word in words:
        assert word in text
    assert thread(stand, number).status == "open"
    assert look(stand, number) == ["thread"]


OTHERS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("readme", {"README.md": b"# Mine\n"}, ["`README.md` is new, but is no request"]),
    ("settings", {"board.json": {"a": 1}}, ["`board.json` is new, but is no request"]),
    ("removal", {"old/x_eval_request_False_float16_Original.json": None}, ["is removed"]),
    ("binary", {PATH: b"\0\1\2"}, ["does not hold text"]),
]


@pytest.mark.parametrize(("name", "files", "words"), OTHERS, ids=[case[0] for case in OTHERS])
def test_changes_other_than_submissions_are_left_to_people(
    stand: BoardDriver, name: str, files: dict[str, Any], words: list[str]
) -> None:
    """The report describes the change and asks a maintainer to look at it; the bot merges nothing."""
    stand.put("old/x_eval_request_False_float16_Original.json", b"{}")
    number, _ = propose(stand, files)
    look(stand, number)
    text = report(stand, number)
    assert "A maintainer has to look at this" in text
    for word in words:
        assert word in text
    stand.form.merge_pull_request(REQUESTS, number, repo_type="dataset")
    look(stand, number)
    assert "Merged by hand" in report(stand, number)


AGAIN: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("same commit", {}, {"status": "PENDING"}, "was evaluated at this very commit"),
    ("failed there", {"status": "FAILED"}, {"status": "PENDING"}, "failed at this very commit"),
    ("other status", {}, {"status": "FAILED"}, "status is 'FAILED'"),
    ("waits", {"status": "PENDING"}, {"status": "PENDING", "x": None}, "is waiting in the queue already"),
    ("runs", {"status": "RUNNING"}, {"status": "PENDING"}, "is being evaluated"),
    (
        "facts",
        {},
        {"status": "PENDING", "steward": {"attempt": 0}},
        "Only the leaderboard itself may set the field 'steward'",
    ),
    ("job", {}, {"status": "PENDING", "job_id": "mine"}, "Only the leaderboard itself may set the field 'job_id'"),
    ("unknown", {}, {"status": "PENDING", "mystery": [2]}, "A submission cannot change the field 'mystery'"),
    ("dropped", {}, {"status": "PENDING", "mystery": None}, "A submission cannot change the field 'mystery'"),
    ("old date", {}, {"status": "PENDING", "submitted_time": "2022-01-01T00:00:00Z"}, "2022-01-01"),
]


@pytest.mark.parametrize(("name", "was", "becomes", "words"), AGAIN, ids=[case[0] for case in AGAIN])
def test_only_a_submissions_fields_of_a_request_can_be_changed(
    stand: BoardDriver, name: str, was: dict[str, Any], becomes: dict[str, Any], words: str
) -> None:
    """The bot refuses changes of its own or unknown fields, other statuses, old dates and evaluated commits."""
    before = settled(stand, **was)
    proposed = {field: value for field, value in {**before, "likes": 3, **becomes}.items() if value is not None}
    number, _ = propose(stand, {PATH: proposed})
    look(stand, number)
    assert words in report(stand, number)
    assert thread(stand, number).status == "open"
