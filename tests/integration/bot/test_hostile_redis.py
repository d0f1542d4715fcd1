"""Forged data in Redis, as after a stolen password, does not disturb other requests and executes no code.

Each test writes data that no program of the board writes, and then runs the board's syncs.
"""

from __future__ import annotations

import json
import os
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from rq.job import Job

from bot.core.settings import BotSettings
from bot.evaluations.published_files import LATE_SECONDS
from bot.ledger.edits import PutFile
from bot.ledger.store import ledger_key
from hub.records import Repo
from leaderboard.attempts import Details
from redis_state import jobs
from redis_state.attempts import MAX_LOG, MAX_OUTCOME
from redis_state.dirty import SyncPriority
from redis_state.keys import Keys
from steward.testing.board import BOARD, BOB, SECRET, BoardDriver
from steward.testing.running import serving
from tests.support.board.published_details import publish

KEYS = Keys("demo")
NUMBERS = ("", "x", "nan", "inf", "-inf", "-1", "1e400", "9" * 30, "9" * 5_000, "\x00", "٣", "0x10", "[1]")
"""Malformed and extreme values in place of a number."""


class Pickled:
    """An object that creates the folder `mark` when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def pages(stand: BoardDriver, valkey_url: str, tmp_path: Path) -> Iterator[httpx2.Client]:
    """A client of the board's web server."""
    (tmp_path / "board.yaml").write_text(BOARD)
    settings = BotSettings(redis_url=valkey_url, board=tmp_path / "board.yaml", webhook_secret=SECRET, port=0)
    with serving(settings) as url, httpx2.Client(base_url=url.removesuffix("/webhooks/hub"), timeout=30) as client:
        yield client


def all_pages_answer(pages: httpx2.Client) -> None:
    """Assert that every page answers with 200."""
    for path in ("/", "/requests", "/workers", "/api/queue", "/api/workers", "/healthz", "/metrics"):
        answer = pages.get(path)
        assert answer.status_code == 200, f"{path}: {answer.text[:500]}"


def finish(stand: BoardDriver) -> None:
    """Advance the clock by an hour, and sync all that is due."""
    for _ in range(6):
        stand.settle()
        stand.time += 600


def is_well(stand: BoardDriver) -> None:
    """Assert that nothing is parked and no sync failed."""
    assert stand.context.parking.all() == []
    assert stand.context.redis.hgetall(KEYS.dirty_tries) == {}


def test_forged_words_about_an_attempt_stop_neither_the_queue_nor_the_pages(
    stand: BoardDriver, pages: httpx2.Client
) -> None:
    """An attempt with an unknown state or malformed numbers counts as an unknown one."""
    running = stand.started()
    waiting = stand.submit("ada/strange").replace("strange", "good")
    key, forged = KEYS.attempt(running.attempt), stand.context.attempts
    for name in ("beat", "started", "done", "total", "replayed"):
        for number in NUMBERS:
            stand.context.redis.hset(key, mapping={"state": "running", "path": waiting, name: number})
            assert forged.read(running.attempt) is None or number in ("9" * 30, "-1", "٣"), f"{name}={number!r}"
        stand.context.redis.hset(key, name, "x")
    stand.context.mark("queue")
    stand.tick()
    stand.settle()
    stand.context.redis.hset(key, mapping={"state": "<b>", "path": "p" * 10_000, "worker": "w" * 10_000})
    assert forged.read(running.attempt) is None
    stand.context.mark("queue")
    stand.tick()
    stand.settle()
    is_well(stand)
    all_pages_answer(pages)
    assert stand.file(waiting.replace("good", "strange"))["status"] == "FAILED", "other requests are handled"


def test_a_malformed_outcome_counts_as_a_lost_attempt(stand: BoardDriver) -> None:
    """A request whose outcome is malformed or too large is tried again like a lost attempt, and nothing is parked."""
    job = stand.started()
    for outcome, log in (
        (b"{", b""),
        (b"[" * 100_000, b""),
        (b"x" * (MAX_OUTCOME + 1), b""),
        (b"{}", b"x" * MAX_LOG * 2),
    ):
        stand.context.redis.hset(KEYS.attempt(job.attempt), mapping={"state": "ended", "outcome": outcome, "log": log})
        stand.context.mark(f"request:{job.path}")
        stand.work()
        is_well(stand)
    stand.time += 1_000
    stand.context.mark(f"request:{job.path}")
    stand.settle()
    assert stand.file(job.path)["status"] == "RERUN", "as after the loss of a worker"


def test_malformed_dirty_keys_are_dropped(stand: BoardDriver) -> None:
    """The bot drops dirty keys with invalid bytes, unknown kinds or escaping paths, and handles other requests."""
    path = stand.submit("ada/good")
    before = [str(commit.commit_id) for commit in stand.form.list_repo_commits("ada/good")]
    forged: list[bytes] = [b"\xff\xfe", b"request:\x80", b"", b":", b"zork:x", b"request:", b"x" * 100_000]
    forged += [
        b"request:../../ada/good/config.json",
        b"request:/etc/passwd",
        b"request:a/../../b.json",
        b"request:\x00",
    ]
    forged += [b"ledger:ada/good", b"ledger:../x", b"thread:dataset/../x:1", b"thread:model/ada/good:99", b"thread:x:y"]
    forged += [
        b"threads:dataset/ada",
        b"outbreak:../x",
        b"check:\n",
        b"submission:x",
        b"errand:x",
        b"cause:x",
        b"evidence:x",
    ]
    stand.context.redis.zadd(KEYS.dirty, dict.fromkeys(forged, 0))
    stand.context.redis.hset(KEYS.dirty_generations, mapping={"queue": "x", b"\xff\xfe": "y", "request:a": "-"})
    stand.context.redis.zadd(KEYS.dirty, {"queue": 1, "request:a": 1})
    finish(stand)
    assert stand.file(path)["status"] == "PENDING"
    assert stand.context.index.get(path).state == "waiting"
    assert [str(commit.commit_id) for commit in stand.form.list_repo_commits("ada/good")] == before
    marks = stand.context.redis.zrange(KEYS.dirty, 0, -1)
    assert not set(marks) & {b"\xff\xfe", b"request:\x80"}


def test_forged_jobs_neither_run_nor_hold_up_the_queue(stand: BoardDriver, tmp_path: Path) -> None:
    """A forged RQ job under the next attempt's id, with a zip bomb or a pickle, neither runs nor blocks the queue."""
    stand.tick()
    stand.worker()
    path = stand.submit("ada/good")
    mark = tmp_path / "unpickled"
    bomb = zlib.compress(b"0" * (100 << 20), 1)
    stand.context.workers.leave("w")  # it waits, and its next attempt's id can be computed
    stand.settle()
    attempt = stand.context.index.get(path).attempt
    assert attempt is not None
    key = Job.key_for(attempt)
    for data in (bomb, pickle.dumps(Pickled(mark)), b"", b"\x80"):
        stand.context.redis.hset(key, mapping={"data": data, "status": "zork", "result": data, "timeout": "x"})
        stand.worker()
        stand.context.mark("queue")
        stand.work()
        is_well(stand)
        jobs.delete(stand.context.redis, attempt)
        assert not stand.context.redis.exists(key)
        for name in stand.context.queues:
            stand.context.redis.lrem(f"rq:queue:{name}", 0, attempt)
        entry = stand.context.index.get(path)
        stand.context.index.put(entry.model_copy(update={"state": "waiting"}))
    stand.context.mark("queue")
    stand.work()
    assert [job.attempt for job in stand.queued()] == [attempt]
    assert not mark.exists()


def test_forged_worker_cards_are_ignored(stand: BoardDriver, pages: httpx2.Client) -> None:
    """Neither syncs nor pages use a worker card with impossible times, with too long fields, or of a wrong type."""
    stand.worker()
    (honest,) = stand.context.workers.alive(now=stand.time)
    card: dict[str, Any] = {"name": "forged", "tiers": ["all"], "since": 1.0, "beat": stand.time}
    forged: list[Any] = [{**card, "beat": beat} for beat in (float("nan"), float("inf"), stand.time + 1e9)]
    forged += [{**card, "since": float("nan")}, {**card, "name": "forged" * 2_000}, {**card, "doing": "x" * 1_000}]
    forged += [{**card, "versions": {str(n): "1" for n in range(1_000)}}, {**card, "tiers": ["x" * 1_000]}, [], 1]
    cards = {str(number): json.dumps(content) for number, content in enumerate(forged)}
    stand.context.redis.hset(KEYS.workers, mapping=cards)
    all_pages_answer(pages)
    stand.context.redis.hset(KEYS.workers, mapping=cards)  # each read removes them
    assert [worker["name"] for worker in pages.get("/api/workers").json()["workers"]] == [honest.name]
    stand.context.redis.hset(KEYS.workers, mapping=cards)
    page = pages.get("/workers").text
    assert (page.count("<li><h2>"), f"<h2>{honest.name}</h2>" in page) == (1, True)
    stand.context.redis.hset(KEYS.workers, mapping=cards)
    assert stand.context.workers.alive(now=stand.time) == [honest]


def test_results_that_a_stranger_proposed_are_not_published(stand: BoardDriver) -> None:
    """The bot refuses an outcome whose commit is only in a pull request, because it is not on the main branch."""
    job = stand.started()
    honest = publish(stand.hub.url, job, stand.context.suite)
    bob = HfApi(stand.hub.url, token=BOB)
    forged = bob.hf_hub_download(honest.repo, honest.results_path, repo_type="dataset", local_dir=stand.hub.state.data)
    content = Path(forged).read_bytes()
    name = "results_2026-11-24T13-00-00.000000.json"
    proposal = bob.create_commit(
        honest.repo, [CommitOperationAdd(name, content)], commit_message="Mend", repo_type="dataset", create_pr=True
    )
    stand.end(job, details=Details(repo=honest.repo, commit=str(proposal.oid), results_path=name))
    assert stand.file(job.path)["status"] == "RUNNING"  # the Hub may not show the commit on the main branch yet
    stand.time += LATE_SECONDS
    stand.work()
    file = stand.file(job.path)
    assert (file["status"], file["steward"]["failure"]["cause"]) == ("RERUN", "results-refused")
    assert "main branch" in file["steward"]["failure"]["message"]


def test_an_earlier_commit_of_the_main_branch_is_as_good_as_its_head(stand: BoardDriver) -> None:
    """The bot accepts an outcome whose commit is on the main branch below a later publication of the same model."""
    job = stand.started()
    ours = publish(stand.hub.url, job, stand.context.suite)
    publish(stand.hub.url, job, stand.context.suite, number=1)
    stand.end(job, details=ours)
    assert stand.file(job.path)["status"] == "FINISHED"


def forge_edit(stand: BoardDriver, repo: Repo, name: str, body: bytes) -> None:
    """Store `body` where staged edits are, and mark the ledger of `repo`."""
    redis, number = stand.context.redis, stand.context.redis.incr(KEYS.edit_number)
    redis.hset(KEYS.edits(repo.id), name, b"0123456789abcdef" + body)
    redis.zadd(KEYS.edit_order(repo.id), {name: number})
    redis.hset(KEYS.edit_repos, name, repo.id)
    stand.context.mark(ledger_key(repo), SyncPriority.PERSON)


def test_forged_edits_change_no_other_repo_and_block_no_edits(stand: BoardDriver) -> None:
    """The ledger writes no forged edit to a foreign repo, skips malformed edits, and writes no escaping path."""
    context = stand.context
    foreign, requests = Repo("dataset", "board/space-of-others"), context.requests
    HfApi(stand.hub.url, token="hf_form").create_repo(foreign.id, repo_type="dataset")
    put = PutFile(id="f", path="x.txt", data=b"x", line="x").model_dump_json().encode()
    forge_edit(stand, foreign, "f", put)
    broken = (b"{", b"[" * 100_000, b"\xff", b'{"kind": "zork"}', pickle.dumps(1), put.replace(b'"id":"f"', b'"id":""'))
    for number, body in enumerate(broken):
        forge_edit(stand, requests, f"broken {number}", body)
    path = stand.submit("ada/pickled")
    finish(stand)
    assert stand.file(path)["status"] == "FAILED", "edits staged after them are written"
    assert "x.txt" not in stand.form.list_repo_files(foreign.id, repo_type="dataset")
    is_well(stand)
    for number, out in enumerate(("../board/results/x.txt", "/etc/x", "a/../../x", ".git/config")):
        bad = PutFile(id=f"out {number}", path=out, data=b"x", line="x").model_dump_json().encode()
        forge_edit(stand, requests, f"out {number}", bad)
    other = stand.submit("ada/remote")
    finish(stand)
    assert stand.file(other)["status"] == "FAILED"
    files = {*stand.form.list_repo_files(requests.id, repo_type="dataset")}
    assert not [name for name in files if "x.txt" in name or name.startswith((".git/", "etc"))]
