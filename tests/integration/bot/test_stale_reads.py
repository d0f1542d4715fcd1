"""Stale answers of the Hub, false 404s and losses of Redis: the bot loses no request and judges its newest text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from huggingface_hub import HfApi

from bot.ledger.edits import PutFile
from bot.processes.reconcile import PERIOD
from bot.queue import rulings
from bot.queue.pauses import learn_pauses
from bot.requests import request, requests_repo
from bot.requests.comparison import COMPARE_SECONDS, FILES, READ_AGAIN
from bot.requests.relaunching import relaunch
from bot.setup.board_files import NOT_INDEXED
from bot.setup.consistency import disagreements
from bot.setup.doctor import agreement
from hub.records import File, Repo
from hub.retries import Retries
from leaderboard.effects import Effects
from leaderboard.failures import cause
from redis_state.board.entry import IndexEntry
from steward.testing.board import BOT, REQUESTS, BoardDriver
from tests.support.board.reconciliation import FINISHED, fill, look, modify, path_of, state, webhook

GONE = {"status": 404, "error": "Entry not found", "headers": {"X-Error-Code": "EntryNotFound"}}


def round_of(stand: BoardDriver) -> None:
    """Run a round of the reconciler while a worker is alive."""
    stand.worker()
    look(stand)


def serve_main_as_of(stand: BoardDriver, commit: str, patch: pytest.MonkeyPatch) -> None:
    """Have the Hub answer reads of `main` of the requests repo with the files of `commit`, as from a cache."""
    real = stand.context.hub.read_file

    def read_file(repo: Repo, path: str, revision: str = "main", **options: Any) -> File:
        return real(repo, path, commit if (repo, revision) == (stand.context.requests, "main") else revision, **options)

    patch.setattr(stand.context.hub, "read_file", read_file)


@pytest.mark.parametrize("lost_mirror", [False, True])
def test_a_404_right_after_the_commit_forgets_no_request(stand: BoardDriver, *, lost_mirror: bool) -> None:
    """If the Hub answers 404 for a file that was just committed, the bot reads it from git and queues the request."""
    round_of(stand)
    path = stand.submit("ada/good")
    stand.context.mark("requests")
    assert stand.loop.step()
    if lost_mirror:
        stand.context.mirror.discard(stand.context.requests)
    stand.hub.state.faults.fail("GET */resolve/*eval_request*", times=1, **GONE)
    stand.work()
    assert state(stand, path) == "waiting"


def test_a_request_that_git_has_no_more_is_forgotten(stand: BoardDriver) -> None:
    """If a file was removed, so that git confirms the Hub's 404, the bot forgets the request."""
    path = stand.submit("ada/good")
    stand.settle()
    stand.form.delete_file(path, REQUESTS, repo_type="dataset", commit_message="Remove")
    stand.settle()
    assert state(stand, path) is None


def test_old_text_out_of_a_cache_is_not_judged(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the Hub's cache serves a request from before a change, the bot still acts on the changed request."""
    path = stand.failed(cause("time-limit").failure(""))
    before = stand.context.hub.head(stand.context.requests)
    stand.put(path, json.dumps({**stand.file(path), "status": "PENDING"}).encode())
    with monkeypatch.context() as patch:
        serve_main_as_of(stand, before, patch)
        stand.settle()
    assert state(stand, path) in ("waiting", "queued")


def test_the_end_of_our_own_edit_is_read_where_it_landed(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the Hub's cache still says FAILED after the bot's relaunch was committed, the request waits nevertheless."""
    path = stand.failed(cause("time-limit").failure(""))
    with monkeypatch.context() as patch:
        serve_main_as_of(stand, stand.context.hub.head(stand.context.requests), patch)
        relaunch(stand.context, stand.context.index.get(path), cause="comment:1")
        stand.work()
    assert state(stand, path) in ("waiting", "queued")


@pytest.mark.long("a board for one more stale answer")
def test_an_edit_whose_commit_was_answered_with_an_error_is_read_where_it_landed(stand: BoardDriver) -> None:
    """If the Hub reports an error for a commit that it made, the bot finds the commit later and queues the request."""
    path = stand.failed(cause("time-limit").failure(""))
    note = PutFile(id="note", path="note.json", data=b"{}", line="Put a note")  # based on no file: the ledger looks
    stand.context.effects.stage(stand.context.requests, note)
    stand.context.hub.retries = Retries(attempts=1)
    stand.hub.state.faults.fail_after("POST */commit/*", times=None, status=500)
    stand.hub.state.faults.fail("GET */commits/*", times=None, status=500)
    relaunch(stand.context, stand.context.index.get(path), cause="comment:1")
    stand.work()
    assert stand.file(path)["status"] == "RERUN"
    assert state(stand, path) == "settled"
    stand.hub.state.faults.clear()
    stand.time += 600
    stand.work()
    assert state(stand, path) in ("waiting", "queued")


def test_a_resumed_queue_is_not_paused_by_old_text(stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the Hub's cache nor an older commit brings back a pause that the bot has lifted."""
    assert rulings.pause(stand.context, "board", "Moving.", "maya").done
    stand.settle()
    assert stand.context.pauses.all()
    paused = stand.context.mirror.fetch(stand.context.requests, depth=1)
    with monkeypatch.context() as patch:
        serve_main_as_of(stand, paused, patch)
        assert rulings.resume(stand.context, "board").done
        stand.work()
    assert stand.context.pauses.all() == {}
    with stand.context.mirror.read(stand.context.requests) as view:
        learn_pauses(stand.context, view, paused)
    stand.work()
    assert stand.context.pauses.all() == {}


def test_redis_that_is_emptied_behind_the_marks_loses_no_request(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Redis is emptied after changed files were marked, the bot does not store the head, and marks them again."""
    path = stand.submit("ada/good")
    passed = list[str]()

    def empty(name: str) -> None:
        if name == requests_repo.MARKED and not passed:
            passed.append(name)
            stand.context.redis.flushall()

    monkeypatch.setattr(requests_repo, "pass_by", empty)
    stand.settle()
    assert passed
    round_of(stand)
    assert state(stand, path) in ("waiting", "queued")


@pytest.mark.long("a board for one more stale answer")
def test_an_edit_that_lands_after_redis_was_emptied_loses_no_request(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If Redis is emptied right before a relaunch is committed, the bot finds the commit and queues the request."""
    path = stand.failed(cause("time-limit").failure(""))
    real, emptied = stand.context.hub.commit, list[str]()

    def commit(*args: Any, **options: Any) -> Any:
        if not emptied:
            emptied.append("now")
            stand.context.redis.flushall()
            stand.settle()
            assert state(stand, path) == "settled"
        return real(*args, **options)

    monkeypatch.setattr(stand.context.hub, "commit", commit)
    relaunch(stand.context, stand.context.index.get(path), cause="comment:1")
    stand.work()
    assert emptied
    assert stand.file(path)["status"] == "RERUN"
    round_of(stand)
    assert state(stand, path) in ("waiting", "queued")


def test_a_file_edited_with_the_bots_own_account_is_looked_at(stand: BoardDriver) -> None:
    """The bot reads files that a person committed with the bot's own account."""
    round_of(stand)
    path = path_of("ada/good")
    data = json.dumps({**FINISHED, "model": "ada/good", "status": "PENDING"}).encode()
    ours = HfApi(stand.hub.url, token=BOT)
    ours.upload_file(path_or_fileobj=data, path_in_repo=path, repo_id=REQUESTS, repo_type="dataset")
    stand.settle()
    assert state(stand, path) in ("waiting", "queued")


def test_a_file_removed_and_brought_back_between_two_looks_is_judged(stand: BoardDriver) -> None:
    """If a file is removed and restored between two syncs of the repo, the bot queues the request again."""
    path = stand.submit("ada/good")
    data = stand.read(path)
    stand.settle()
    stand.form.delete_file(path, REQUESTS, repo_type="dataset", commit_message="Remove")
    stand.context.heads.doubt(REQUESTS, stand.context.hub.head(stand.context.requests))
    stand.context.mark(f"request:{path}")
    stand.work()
    assert state(stand, path) is None
    stand.put(path, data)
    stand.settle()
    assert state(stand, path) in ("waiting", "queued")


def test_a_sync_that_outlives_redis_does_not_have_the_last_word(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sync that read CANCELLED before Redis was emptied does not overwrite what a newer sync found."""
    path = stand.submit("ada/good")
    stand.settle()
    stand.put(path, json.dumps({**stand.file(path), "status": "CANCELLED"}).encode())
    real, emptied = request.next_step, list[str]()

    def next_step(*args: Any, **options: Any) -> Any:
        step = real(*args, **options)
        if not emptied:
            emptied.append("now")
            stand.put(path, json.dumps({**stand.file(path), "status": "PENDING"}).encode())
            stand.context.redis.flushall()
            stand.settle()
            assert state(stand, path) == "waiting"
        return step

    monkeypatch.setattr(request, "next_step", next_step)
    stand.settle()
    assert emptied
    assert state(stand, path) == "waiting"


def forget(stand: BoardDriver, path: str) -> None:
    """Remove the entry of `path` from the index, as no code of the bot does."""
    stand.context.index.drop(path)


def outdate(stand: BoardDriver, path: str) -> None:
    """Set another content of the file in the index."""
    stand.context.index.put(stand.context.index.get(path).model_copy(update={"file_oid": "0" * 40}))


def end(stand: BoardDriver, path: str) -> None:
    """Set a waiting request to ended in the index."""
    stand.context.index.put(stand.context.index.get(path).model_copy(update={"state": "settled", "job": None}))


def compare(stand: BoardDriver) -> list[tuple[str, str]]:
    """Run a round in which a comparison is due; return the calls that it took."""
    stand.context.redis.hset(stand.context.keys.rounds, FILES, stand.time - COMPARE_SECONDS)
    return look(stand)


@pytest.mark.long("a board for one more stale answer")
@pytest.mark.parametrize("harm", [forget, outdate, end])
def test_what_the_index_does_not_know_as_it_is_is_found_in_time(stand: BoardDriver, harm: Any) -> None:
    """The doctor reports a missing or wrong entry of the index, and a comparison corrects it in COMPARE_SECONDS."""
    path = stand.submit("ada/good")
    for _ in range(3):
        look(stand)  # the first look at the threads is over
    harm(stand, path)
    assert [(disagreement.what, disagreement.path) for disagreement in disagreements(stand.context)] == [
        (NOT_INDEXED, path)
    ]
    assert [check.state for check in agreement(stand.context)] == ["error"]
    for _ in range(int(COMPARE_SECONDS // PERIOD) + 1):
        look(stand)
    assert state(stand, path) == "waiting"
    assert disagreements(stand.context) == []


def test_an_entry_of_an_earlier_version_is_completed_once(stand: BoardDriver) -> None:
    """The first comparison adds size and removal, which version 0.1.0 did not store; later ones read no file."""
    path = path_of("ada/removed")
    facts = {"status": "CANCELLED", "params": 7.0, "steward": {"removed": {"status": "FINISHED"}}}
    modify(stand, **{path: json.dumps({**FINISHED, "model": "ada/removed", **facts})})
    for _ in range(3):
        look(stand)
    whole, index = stand.context.index.get(path), stand.context.index
    assert (whole.parameters, whole.standing.removed) == (7_000_000_000, True)
    bare = whole.changed(parameters=None, standing=whole.standing.model_copy(update={"removed": False}))
    index.put(bare)
    compare(stand)
    assert index.get(path) == bare, "this version filled the index, so no file is read again"
    stand.context.redis.hdel(stand.context.keys.rounds, READ_AGAIN)
    compare(stand)
    assert index.get(path) == whole
    index.put(bare)
    compare(stand)
    assert index.get(path) == bare


def test_an_entry_without_a_file_goes_in_time(stand: BoardDriver) -> None:
    """The consistency check reports an entry of the index without a file, and a comparison removes it."""
    stand.settle()
    path = path_of("ada/never")
    stand.context.index.put(IndexEntry(path=path, state="settled"))
    assert [(disagreement.what, disagreement.path) for disagreement in disagreements(stand.context)] == [
        (NOT_INDEXED, path)
    ]
    for _ in range(int(COMPARE_SECONDS // PERIOD) + 1):
        look(stand)
    assert state(stand, path) is None


def test_what_is_on_its_way_is_no_disagreement(stand: BoardDriver) -> None:
    """The consistency check ignores requests with a mark or a staged edit, and an index that was never filled."""
    path = stand.submit("ada/good")
    assert disagreements(stand.context) == []
    stand.settle()
    outdate(stand, path)
    stand.context.mark(f"request:{path}")
    assert disagreements(stand.context) == []
    stand.work()
    stand.context.effects.stage(
        stand.context.results, PutFile(id="x", path="x.json", data=b"{}", line="Put x", subject=path)
    )
    outdate(stand, path)
    assert disagreements(stand.context) == []


def test_a_board_that_holds_its_edits_back_has_requests_that_rest(stand: BoardDriver) -> None:
    """With edits in shadow, a refused request is settled in the index, and the check finds no disagreement."""
    stand.context.board = stand.context.board.model_copy(update={"effects": Effects(edit="shadow")})
    path = stand.submit("ada/remote")
    stand.settle()
    assert state(stand, path) == "settled"
    assert disagreements(stand.context) == []


def test_a_comparison_of_what_is_as_it_was_costs_no_call(stand: BoardDriver) -> None:
    """With 20 or 400 files of every kind, a round with a comparison makes the same calls as one without."""
    webhook(stand)
    stand.context.board = stand.context.board.model_copy(update={"max_request_bytes": 2_000})
    stand.submit("ada/good")
    stand.submit("ada/remote")
    for name, data in (("x/large", b'{"model": "' + b"x" * 3_000), ("x/odd", b"["), ("x/list", b"[1]")):
        stand.put(path_of(name), data)
    stand.put(".gitattributes", b"x/lfs* filter=lfs diff=lfs merge=lfs -text\n")
    stand.put(path_of("x/lfs"), json.dumps({**FINISHED, "model": "x/lfs"}).encode())
    modify(stand, **{path_of("x/run"): json.dumps({**FINISHED, "model": "x/run", "status": "RUNNING", "job_id": 1})})
    for size in (20, 400):
        fill(stand, size)
        for _ in range(3):
            compare(stand)  # the first one fetches the bot's own commits, which the mirror lacks
        usual = sorted(look(stand))
        assert sorted(compare(stand)) == usual
        assert disagreements(stand.context) == []
