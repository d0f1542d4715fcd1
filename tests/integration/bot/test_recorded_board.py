"""This version continues a board of an earlier version: its Redis and its Hub, recorded at commit c423d37.

One request runs, one is queued in RQ, one is held, one was refused; a tier is paused, a rename waits for approval, an
edit is staged and a key is dirty. `recorded/redis.json` holds every key by its type (values in base64), the archive
`recorded/hub.tar.xz` the folder of the local Hub, `recorded/board.json` the paths, ids and statuses for the tests.
"""

from __future__ import annotations

import json
import tarfile
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from bot.probe import Probe
from bot.threads.maintainers_list import waiting_threads
from hub.comments import marker_of
from localhub.testing import LocalHub
from redis_state.heartbeats import WorkerCard
from redis_state.jobs import EvaluationJob
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.archives import unpack_tar
from tests.support.board.published_details import publish
from tests.support.board.renames import MAYA, NEW, OLD, path

RECORDED = Path(__file__).parent / "recorded"


class RecordedBoard:
    """The recorded board, with a sync process of this version."""

    def __init__(self, folder: Path, connection: redis.Redis, probe: Probe) -> None:
        with tarfile.open(RECORDED / "hub.tar.xz") as archive:
            unpack_tar(archive, folder)
        restore(connection, json.loads((RECORDED / "redis.json").read_text()))
        self.known: dict[str, Any] = json.loads((RECORDED / "board.json").read_text())
        self.hub = LocalHub(folder / "hub")
        self.driver = BoardDriver(self.hub, connection, probe)
        self.driver.time = self.known["time"]
        board = self.driver.context.board
        self.driver.context.board = board.model_copy(
            update={"front_ends": (self.known["front_end"],), "maintainers": (self.known["maintainer"],)}
        )
        self.driver.context.flags = lambda _models, _weights: ()

    def status(self, name: str) -> str:
        """The status in the request file that `board.json` calls `name`."""
        return str(self.driver.file(self.known[name])["status"])

    def say(self, number: int, text: str) -> None:
        """Maya, who maintains the board, writes a comment, and the bot syncs the thread."""
        maya = type(self.driver.ada)(self.hub.url, token=MAYA)
        maya.comment_discussion(REQUESTS, number, comment=text, repo_type="dataset")
        self.driver.time += 120
        self.driver.context.mark(f"thread:dataset/{REQUESTS}:{number}")
        self.driver.work()

    def announce(self) -> None:
        """The worker sends a heartbeat."""
        time = self.driver.time
        self.driver.context.workers.announce(WorkerCard(name="w", tiers=("all",), since=time, beat=time))
        self.driver.context.mark("queue")
        self.driver.work()

    def own_comments(self) -> list[tuple[int, str]]:
        """Thread number and marker of each comment of the bot."""
        comments = []
        for thread in self.driver.threads():
            for event in thread.events:
                marker = marker_of(getattr(event, "content", "") or "")
                comments += [(thread.num, str(marker))] if event.author == "steward-bot" and marker is not None else []
        return comments


def restore(connection: redis.Redis, dump: dict[str, dict[str, Any]]) -> None:
    """Put every recorded key into Redis."""
    connection.flushall()
    for key, stored in dump.items():
        value = stored["value"]
        match stored["type"]:
            case "string":
                connection.set(key, b64decode(value))
            case "hash":
                connection.hset(key, mapping={b64decode(name): b64decode(field) for name, field in value.items()})
            case "set":
                connection.sadd(key, *map(b64decode, value))
            case "list":
                connection.rpush(key, *map(b64decode, value))
            case "zset":
                connection.zadd(key, {b64decode(member): score for member, score in value})
            case "stream":
                for entry, fields in value:
                    connection.xadd(
                        key, {b64decode(name): b64decode(field) for name, field in fields.items()}, id=entry
                    )
            case other:
                raise AssertionError(other)


@pytest.fixture
def recorded(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[RecordedBoard]:
    """The recorded board, before this version has done anything."""
    board = RecordedBoard(tmp_path, connection, probe)
    yield board
    board.driver.context.hub.close()
    board.hub.close()


def test_the_evaluation_that_runs_is_published(recorded: RecordedBoard) -> None:
    """The worker of the recorded attempt ends it, and the request is FINISHED under the same attempt id."""
    board, job = recorded, EvaluationJob.model_validate(recorded.known["job"])
    assert board.status("running") == "RUNNING"
    board.announce()
    board.driver.end(job, details=publish(board.hub.url, job, board.driver.context.suite))
    file = board.driver.file(board.known["running"])
    assert (file["status"], file["steward"]["attempt"]) == ("FINISHED", 1)
    assert file["mystery"] == [1, "é"]


def test_the_job_in_rq_is_taken_as_it_was_queued(recorded: RecordedBoard) -> None:
    """A worker takes the recorded RQ job under its original attempt id, and is granted the claim."""
    board = recorded
    assert [job.attempt for job in board.driver.queued()] == board.known["queued"]
    board.announce()
    (job,) = board.driver.queued()
    assert board.driver.take(job) is True
    assert board.status("waiting") == "RUNNING"


def test_a_hold_and_a_pause_last_until_a_maintainer_lifts_them(recorded: RecordedBoard) -> None:
    """A held request is queued after `/unhold`, and `/resume` lifts the recorded pause of a tier."""
    board = recorded
    board.driver.settle()
    assert set(board.driver.context.pauses.all()) == {"tier:large"}
    assert board.known["held"] not in [job.path for job in board.driver.queued()]
    board.say(board.known["talk"], "/unhold ada/good precision=bfloat16")
    board.say(board.known["talk"], "/resume tier:large")
    assert board.driver.context.pauses.all() == {}
    assert board.driver.context.index.get(board.known["held"]).state in ("waiting", "queued")
    assert "hold" not in board.driver.file(board.known["held"])["steward"]


def test_a_recorded_proposal_is_approved_by_its_digest(recorded: RecordedBoard) -> None:
    """The rename that the earlier version proposed is applied as a whole."""
    board = recorded
    board.say(board.known["rename"], f"/approve {board.known['digest']}")
    files = {file.path for file in board.driver.context.hub.list_files(board.driver.context.requests)}
    assert path(NEW) in files and path(OLD) not in files


def test_a_plan_that_waited_is_on_the_maintainers_list(recorded: RecordedBoard) -> None:
    """The bot reads the thread of a recorded plan once, and lists the plan, which the earlier version did not."""
    context, number = recorded.driver.context, recorded.known["rename"]
    threads = f"threads:dataset/{REQUESTS}"
    comments = {name: count for each, count in recorded.known["comments"].items() for name in (each, f"{each} read")}
    context.redis.hset(context.keys.thread_counts(f"dataset {REQUESTS}"), mapping=comments)
    recorded.driver.settle()
    assert waiting_threads(context) == []
    context.mark(threads)
    recorded.driver.work()
    (waiting,) = waiting_threads(context)
    assert (waiting.topic, waiting.sha) == ("plan to approve", recorded.known["digest"])
    assert waiting.place == f"{REQUESTS} #{number}"
    calls = len(recorded.driver.calls)
    context.mark(threads)
    recorded.driver.work()
    assert len(recorded.driver.calls) == calls + 1


def test_what_was_staged_and_dirty_is_written_once_and_nothing_is_said_twice(recorded: RecordedBoard) -> None:
    """The bot commits the staged edit and posts no comment again, not even when Redis is lost after that."""
    board, before = recorded, recorded.own_comments()
    board.driver.tick()
    board.driver.settle()
    logs = board.driver.context.logs
    assert board.driver.context.hub.read_file(logs, "recorded/note.txt").data == b"staged by the version before\n"
    assert board.own_comments() == before
    board.driver.context.redis.flushall()
    board.driver.context.mark("requests")
    board.driver.work()
    assert board.own_comments() == before
    assert {name: board.status(name) for name in ("running", "waiting", "held", "refused")} == {
        name: board.known["statuses"][board.known[name]] for name in ("running", "waiting", "held", "refused")
    }
