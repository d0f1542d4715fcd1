"""Pull requests of outsiders on the board of `board_driver`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.community import DiscussionComment, DiscussionWithDetails

from bot.core.pull_records import KIND
from hub.comments import marker_of
from leaderboard.times import write_time
from localhub.testing import LocalHub
from steward.testing.board import REQUESTS, BoardDriver

PATH = "ada/good_eval_request_False_float32_Original.json"
GOOD, JUDGED = {"info", "resolve", "tree", "user"}, 6
"""The routes of the calls for admission, and the number of further calls that a pull request stays below."""


@contextmanager
def board_on(hub: LocalHub, connection: redis.Redis, kept: dict[str, bytes]) -> Iterator[BoardDriver]:
    """A board driver with an empty Redis on `hub`, whose requests repo has the files `kept` and no others.

    Several tests may share the Hub.
    """
    stand = BoardDriver(hub, connection)
    there = [
        file.path for file in stand.context.hub.list_files(stand.context.requests) if file.path != ".gitattributes"
    ]
    operations = [CommitOperationDelete(path) for path in there if path not in kept]
    operations += [CommitOperationAdd(path, content) for path, content in kept.items()]
    if operations:
        stand.form.create_commit(REQUESTS, operations, commit_message="Begin", repo_type="dataset")
    stand.context.me()
    stand.settle()
    stand.calls.clear()
    try:
        yield stand
    finally:
        hub.state.faults.clear()
        stand.context.hub.close()


@pytest.fixture
def empty_stand(hub: LocalHub, connection: redis.Redis) -> Iterator[BoardDriver]:
    """A board without requests on the Hub that all tests of a file share."""
    with board_on(hub, connection, {}) as driver:
        yield driver


def fields(stand: BoardDriver, model: str = "ada/good", **changes: Any) -> dict[str, Any]:
    """Return the fields of a submission of `model`; a change to None leaves the field out."""
    made = {
        "model": model,
        "base_model": "",
        "revision": "main",
        "precision": "float32",
        "weight_type": "Original",
        "status": "PENDING",
        "submitted_time": write_time(stand.time),
        "model_type": "pretrained",
    }
    return {name: value for name, value in {**made, **changes}.items() if value is not None}


def propose(
    stand: BoardDriver,
    files: dict[str, Any],
    *,
    number: int | None = None,
    title: str = "Add a model",
    who: HfApi | None = None,
) -> tuple[int, str]:
    """Open a pull request as Ada with `files` (None: removed), or push them to `number`; return number and head."""
    operations = [
        CommitOperationDelete(path)
        if content is None
        else CommitOperationAdd(path, content if isinstance(content, bytes) else json.dumps(content).encode())
        for path, content in files.items()
    ]
    made = (who or stand.ada).create_commit(
        REQUESTS,
        operations,
        commit_message=title,
        repo_type="dataset",
        create_pr=number is None,
        revision=None if number is None else f"refs/pr/{number}",
    )
    return number or int(made.pr_num or 0), str(made.oid)


def look(stand: BoardDriver, number: int) -> list[str]:
    """Sync the thread and every key that this marks; return the routes of the calls to the Hub."""
    before = len(stand.calls)
    stand.context.mark(f"thread:dataset/{REQUESTS}:{number}")
    stand.work()
    return [route for _, route in stand.calls[before:]]


def thread(stand: BoardDriver, number: int) -> DiscussionWithDetails:
    """Return the pull request."""
    return stand.form.get_discussion_details(REQUESTS, number, repo_type="dataset")


def comments_of_kind(stand: BoardDriver, number: int, kind: str = KIND) -> list[str]:
    """Return the bot's comments of `kind` in the pull request, by default its reports."""
    comments = []
    for event in thread(stand, number).events:
        if isinstance(event, DiscussionComment) and event.author == "steward-bot":
            marker = marker_of(event.content)
            if marker is not None and marker.kind == kind:
                comments.append(event.content)
    return comments


def report(stand: BoardDriver, number: int) -> str:
    """Return the one report as rendered text, without its first two lines."""
    (text,) = comments_of_kind(stand, number)
    rendered = text.partition("\n")[2].partition("\n")[2].replace("\u200b", "")
    return re.sub(r"\\([^\w\s])|\\(_)", r"\1\2", rendered)


def bot_comments(stand: BoardDriver, number: int) -> int:
    """Return the number of the bot's comments in the pull request."""
    events = thread(stand, number).events
    return sum(isinstance(event, DiscussionComment) and event.author == "steward-bot" for event in events)


def settled(stand: BoardDriver, **changes: Any) -> dict[str, Any]:
    """Commit a finished request to main; return its fields."""
    sha = stand.ada.model_info("ada/good").sha
    facts = {"attempt": 1, "revision": sha, "spent": 1}
    made = fields(stand, status="FINISHED", job_id="0123456789ab-cccccccc-1", mystery=[1], steward=facts)
    made |= changes
    stand.put(PATH, json.dumps(made).encode())
    return made


def newer(stand: BoardDriver) -> str:
    """Commit to ada/good; return the commit."""
    note = repr(stand.time).encode()
    return str(stand.ada.upload_file(path_or_fileobj=note, path_in_repo="note.txt", repo_id="ada/good").oid)


def policy(stand: BoardDriver, word: str) -> None:
    """Set the board's `pull_requests` to `word`."""
    stand.context.board = stand.context.board.model_copy(update={"pull_requests": word})
