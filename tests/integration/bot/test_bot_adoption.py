"""The operator adopts a board with old requests by one record; the bot leaves the files from before as they are."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from bot.changes.duplicates import DUPLICATES
from bot.core.adoption import RecordLost, git_id
from bot.core.context import request_key, thread_key
from bot.processes.reconcile import PERIOD
from bot.setup.adopting import AdoptionResult, adopt
from bot.setup.doctor.earlier_writers import adoption
from leaderboard.adoption import RECORD, BadRecord, parse_record
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request, parse_request
from localhub.git.changes import Author, SetFile
from redis_state.board.entry import IndexEntry
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.old_request_files import old_files

OLD = "ada/good_eval_request_False_float32_Original.json"
FIELDS = {"model": "ada/good", "status": "PENDING", "revision": "main"}


def fill(stand: BoardDriver, files: list[tuple[str, bytes]]) -> None:
    """Commit `files` at once, as git objects, in the name of another backend."""
    repo = stand.hub.state.repos.get("dataset", REQUESTS)
    assert repo is not None
    changes = [SetFile(path, content) for path, content in files]
    repo.git.commit("refs/heads/main", changes, None, Author("form", "form@example.com"), "Update")


def live(stand: BoardDriver, rounds: int = 3) -> None:
    """Run the periodic poll `rounds` times with a worker present, and do all the work that follows."""
    for _ in range(rounds):
        stand.time += PERIOD + 1
        stand.worker()
        stand.tick()
        stand.work()


def written(stand: BoardDriver) -> dict[str, Any]:
    """Return counts of all that the bot could have written: commits of each repo, threads, evaluations."""
    repos = [f"board/{name}" for name in ("requests", "results", "logs")]
    return {
        **{name: len(stand.form.list_repo_commits(name, repo_type="dataset")) for name in repos},
        "threads": {thread.num: len(thread.events) for thread in stand.threads()},
        "queued": len(stand.queued()),
        "busy": len(stand.context.index.busy()),
        "waiting": stand.context.index.count_waiting(),
    }


def entries(stand: BoardDriver) -> list[IndexEntry | None]:
    """Return the whole index, sorted by path."""
    return stand.context.index.find(sorted(stand.context.index.paths()))


def adopted(stand: BoardDriver) -> AdoptionResult:
    """Adopt the board in its present state."""
    return adopt(stand.context)


@pytest.mark.parametrize("count", [2_000, pytest.param(20_000, marks=pytest.mark.long("ten times as many files"))])
def test_thousands_of_old_files_are_adopted_with_one_write(stand: BoardDriver, count: int) -> None:
    """Adoption is one commit, and lists every old file without editing, queueing or reporting it.

    It takes a call per thousand files. The same holds after all of Redis is lost. A file that is changed afterwards is
    a request like any other.
    """
    files = dict(old_files(count))
    fill(stand, list(files.items()))
    thread = stand.ada.create_discussion(REQUESTS, "Why did mine fail?", repo_type="dataset").num
    before = written(stand)
    head = stand.context.hub.head(stand.context.requests)

    adoption = adopted(stand)
    assert adoption.is_new
    assert adoption.record.commits[REQUESTS] == head
    assert adoption.record.threads[f"dataset/{REQUESTS}"] == thread
    listed = [path for path in files if is_request_path(path)]
    assert adoption.record.files == adoption.statuses.total() == len(listed)
    calls = len(stand.calls)
    live(stand)
    after = written(stand)
    assert after == {**before, REQUESTS: before[REQUESTS] + 1}
    first = entries(stand)
    assert len(first) == len(listed)
    assert Counter(entry.state for entry in first if entry) == Counter(
        "settled" if ended(path, files[path]) else "foreign" for path in listed
    )
    assert len(stand.calls) - calls < len(files) // 1_000 + 60

    stand.context.redis.flushall()
    calls = len(stand.calls)
    live(stand)
    assert written(stand) == after
    assert entries(stand) == first
    assert len(stand.calls) - calls < len(files) // 1_000 + 60
    change_an_old_file(stand, {path: files[path] for path in listed})


def change_an_old_file(stand: BoardDriver, files: dict[str, bytes]) -> None:
    """Change an old file as a person does, and check that the bot judges it as a new request."""
    commits = written(stand)[REQUESTS]
    path = next(path for path in files if b'"PENDING"' in files[path] and readable(path, files[path]))
    model = json.loads(files[path])["model"]
    stand.put(path, json.dumps({**json.loads(files[path]), "submitted_time": "2026-11-24T12:00:00Z"}).encode())
    live(stand, rounds=1)
    assert stand.file(path)["status"] == "FAILED"
    assert [model in thread.title for thread in stand.threads() if thread.num > 1] == [True]
    assert written(stand)[REQUESTS] == commits + 2


def readable(path: str, data: bytes) -> bool:
    """Whether Steward can read a file as a request."""
    return isinstance(parse_request(path, data), Request)


def ended(path: str, data: bytes) -> bool:
    """Whether a file is a readable request whose evaluation came to an end."""
    request = parse_request(path, data)
    return isinstance(request, Request) and request.file.status.upper().startswith(("FINISHED", "FAILED", "CANCELLED"))


def test_the_record_says_when_who_and_as_of_what(stand: BoardDriver) -> None:
    """The adoption record is readable, and a second adoption writes nothing unless the operator forces it."""
    fill(stand, [(OLD, json.dumps(FIELDS).encode())])
    first = adopted(stand)
    file = stand.context.hub.read_file(stand.context.requests, RECORD)
    assert parse_record(file.data) == first.record
    assert first.record.by.name == "steward-bot"
    assert first.statuses == {"PENDING": 1}
    again = adopted(stand)
    assert (again.is_new, again.record) == (False, first.record)
    assert stand.commits() == 3
    ada = stand.context.hub.user("ada")
    anew = adopt(stand.context, by=ada, again=True)
    assert (anew.is_new, anew.record.by.name) == (True, "ada")
    assert stand.commits() == 4


def test_requests_that_were_queued_before_the_adoption_are_dropped(stand: BoardDriver) -> None:
    """The adoption drops requests that wait or are queued in RQ, and the bot then refuses a worker's claim of one."""
    stand.context.board = stand.context.board.model_copy(update={"threads": "never"})
    stand.worker()
    stand.submit("ada/good")
    stand.settle()
    (job,) = stand.queued()
    adopted(stand)
    live(stand)
    assert (stand.context.index.get(OLD).state, stand.context.index.count_waiting()) == ("foreign", 0)
    assert stand.queued() == []
    stand.context.attempts.take(job.attempt, job.path, "w", now=stand.time)  # it had just got the job
    stand.context.mark(f"request:{job.path}")
    stand.work()
    assert stand.answer(job) is False
    assert stand.file(OLD) == {**FIELDS, "mystery": [1, "é"]}
    assert stand.threads() == []


def test_what_steward_itself_had_in_hand_is_not_old(stand: BoardDriver) -> None:
    """An evaluation that is under way when the board is adopted runs to its end."""
    from leaderboard.attempts import Failure

    job = stand.started()
    adopted(stand)
    stand.settle()
    stand.end(job, failure=Failure(cause="weights-corrupted", fault="submission", message="Cut off."))
    assert stand.file(OLD)["status"] == "FAILED"


@pytest.mark.long("adopts a board once more; `make chaos` runs the file")
def test_a_resubmission_of_an_old_request_is_new(stand: BoardDriver) -> None:
    """The bot queues a submission that overwrites an old file, because the path of a request has no revision."""
    fill(stand, [(OLD, json.dumps({**FIELDS, "status": "FAILED"}).encode())])
    adopted(stand)
    stand.worker()
    live(stand, rounds=1)
    assert stand.context.index.get(OLD).state == "settled"
    stand.submit("ada/good")
    stand.settle()
    assert [job.path for job in stand.queued()] == [OLD]


def test_old_threads_and_files_are_left_alone_before_the_requests_repo_was_looked_at(stand: BoardDriver) -> None:
    """After Redis is lost, the bot leaves old threads and files alone even before it read the requests repo."""
    fill(stand, [(OLD, json.dumps(FIELDS).encode())])
    post = "How long does an evaluation take?\n\n/help"
    number = stand.ada.create_discussion(REQUESTS, "How long?", description=post, repo_type="dataset").num
    stand.time += 5
    adopted(stand)
    before = written(stand)
    for key in (thread_key(stand.context.requests, number), request_key(OLD)):
        stand.context.redis.flushall()
        stand.context.mark(key)
        stand.work()
        assert written(stand) == before


def hide_record(stand: BoardDriver) -> None:
    """Have the Hub answer, until further notice, that there is no record of adoption."""
    not_found = {"status": 404, "error": "Entry not found", "headers": {"X-Error-Code": "EntryNotFound"}}
    stand.hub.state.faults.fail("GET */resolve/*adopt*", times=None, **not_found)


@pytest.mark.parametrize(
    ("lost_mirror", "key"), [(lost, key) for lost in (False, True) for key in (request_key(OLD), "requests")]
)
def test_a_404_on_the_record_makes_nothing_new(stand: BoardDriver, key: str, *, lost_mirror: bool) -> None:
    """After Redis is lost and the Hub wrongly answers 404 for the record, the bot reads git and writes nothing."""
    fill(stand, [(OLD, json.dumps(FIELDS).encode())])
    adopted(stand)
    live(stand)
    before = written(stand)
    stand.context.redis.flushall()
    if lost_mirror:
        stand.context.mirror.discard(stand.context.requests)
    hide_record(stand)
    stand.context.mark(key)
    stand.work()
    assert stand.context.adoption.record() is not None
    live(stand)
    assert written(stand) == before


def test_a_404_on_the_record_writes_no_second_one(stand: BoardDriver) -> None:
    """`steward adopt` reads the record from git if the Hub wrongly answers 404 for it, and writes no second record."""
    first = adopted(stand)
    hide_record(stand)
    before = written(stand)
    assert adopted(stand) == AdoptionResult(first.record, False, Counter())
    assert written(stand) == before


def test_duplicates_from_before_the_adoption_are_not_reported(stand: BoardDriver) -> None:
    """Two old files for one evaluation are not reported until one of them changes."""
    twin, failed = OLD.replace("ada/", "Ada/"), {**FIELDS, "status": "FAILED"}
    fill(stand, [(OLD, json.dumps(failed).encode()), (twin, json.dumps({**failed, "model": "Ada/good"}).encode())])
    adopted(stand)
    live(stand, rounds=1)
    stand.context.mark(DUPLICATES)
    stand.work()
    assert stand.threads() == []
    stand.put(OLD, json.dumps({**failed, "params": 7.24}).encode())
    stand.settle()
    stand.context.mark(DUPLICATES)
    stand.work()
    assert "Requests twice" in " ".join(thread.title for thread in stand.threads())


def test_an_old_file_that_is_looked_at_again_stays_as_it_is(stand: BoardDriver) -> None:
    """A sync of an old request writes nothing, for large and small files, waiting or not."""
    large = "ada/large_eval_request_False_float32_Original.json"
    fill(stand, [(OLD, json.dumps(FIELDS).encode()), (large, json.dumps({**FIELDS, "x": "y" * 200_000}).encode())])
    adopted(stand)
    live(stand)
    before = written(stand)
    for path in (OLD, large):
        stand.context.index.drop(path)
        stand.context.mark(request_key(path))
        stand.work()
        assert stand.context.index.get(path).state == "foreign"
    assert written(stand) == before


def test_an_old_file_that_large_file_storage_keeps_is_recognised(stand: BoardDriver) -> None:
    """The bot recognises an old file in LFS, though the Hub reports its sha256 and git the id of its pointer."""
    stand.put(".gitattributes", b"*.json filter=lfs diff=lfs merge=lfs -text\n")
    stand.put(OLD, json.dumps(FIELDS).encode())
    file = stand.context.hub.read_file(stand.context.requests, OLD)
    assert len(file.oid) == 64
    adopted(stand)
    before = len(stand.calls)
    live(stand)
    resolved = [route for _, route in stand.calls[before:]].count("resolve")
    assert resolved == 3  # the record, the pauses at both their paths, and no request
    assert stand.context.adoption.blobs([OLD]) == [git_id(file.oid, len(file.data))]
    assert stand.context.adoption.is_old(file, None)
    assert stand.context.index.get(OLD).state == "foreign"
    assert stand.threads() == []


@pytest.mark.long("adopts a board once more; `make chaos` runs the file")
def test_a_request_merged_from_an_old_pull_request_is_followed_elsewhere(stand: BoardDriver) -> None:
    """A pull request from before the adoption gets no comment; the file that it adds is new, and gets a thread."""
    add = CommitOperationAdd(OLD, json.dumps(FIELDS).encode())
    pull = stand.ada.create_commit(REQUESTS, [add], commit_message="Add", repo_type="dataset", create_pr=True)
    number = int(pull.pr_num or 0)
    adopted(stand)
    live(stand, rounds=1)
    stand.form.merge_pull_request(REQUESTS, number, repo_type="dataset")
    live(stand, rounds=1)
    old, new = sorted(stand.threads(), key=lambda thread: int(thread.num))
    assert old.num == number
    assert not [event for event in old.events if event.author == "steward-bot"]
    assert new.author == "steward-bot"


@pytest.mark.long("adopts a board once more; `make chaos` runs the file")
def test_an_old_pull_request_in_the_results_repo_hears_nothing(stand: BoardDriver) -> None:
    """A pull request from before the adoption gets no comment; the next one does."""
    results = "board/results"
    there = "ada/good/results_2024-01-01T00-00-00.json"
    fields = json.dumps({"config_general": {"model_name": "ada/good"}, "results": {}}).encode()
    stand.form.create_commit(results, [CommitOperationAdd(there, fields)], commit_message="Add", repo_type="dataset")

    def proposed(new: str) -> int:
        renamed = CommitOperationAdd(there.replace("good", new), fields.replace(b"good", new.encode()))
        changes = [CommitOperationDelete(there), renamed]
        title = f"Rename ada/good to ada/{new}"
        pull = stand.ada.create_commit(results, changes, commit_message=title, repo_type="dataset", create_pr=True)
        return int(pull.pr_num or 0)

    def heard(number: int) -> list[str]:
        thread = stand.ada.get_discussion_details(results, number, repo_type="dataset")
        return [event.author for event in thread.events if event.author == "steward-bot"]

    old = proposed("better")
    adopted(stand)
    new = proposed("best")
    live(stand)
    assert (heard(old), heard(new)) == ([], ["steward-bot"])


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_record_that_cannot_be_used_stops_the_board_instead_of_touching_old_files(
    stand: BoardDriver, is_lost: bool
) -> None:
    """An unreadable adoption record, or one whose commit is gone, is an error, and the bot writes nothing."""
    fill(stand, [(OLD, json.dumps(FIELDS).encode())])
    record = adopted(stand).record
    wrong = record.model_copy(update={"commits": {REQUESTS: "a" * 40}}).model_dump_json() if is_lost else "{}"
    stand.put(RECORD, wrong.encode())
    before = written(stand)
    with pytest.raises(RecordLost if is_lost else BadRecord):
        stand.context.adoption.read()
    live(stand)
    assert written(stand) == before
    assert int(stand.context.redis.hget(stand.context.keys.dirty_tries, "requests") or 0) > 0


def test_without_a_record_nothing_is_old_and_that_costs_no_call(stand: BoardDriver) -> None:
    """Without a record of adoption, or after it is deleted, no file counts as old, which takes no call to the Hub."""
    stand.submit("ada/good")
    stand.settle()
    calls = len(stand.calls)
    stand.context.adoption.ensure()
    assert stand.context.adoption.is_read(None)
    assert stand.context.adoption.record() is None
    assert stand.context.adoption.blobs([OLD]) == [None]
    assert len(stand.calls) == calls
    adopted(stand)
    stand.settle()
    assert stand.context.adoption.record() is not None
    stand.form.delete_file(RECORD, REQUESTS, repo_type="dataset")
    stand.settle()
    calls = len(stand.calls)
    stand.context.adoption.ensure()
    assert stand.context.adoption.record() is None
    assert stand.context.adoption.blobs([OLD]) == [None]
    assert len(stand.calls) == calls


def test_adopting_while_others_commit_names_the_commit_below_the_record(
    stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a person commits between read and record, the adoption reads again, and its record names its own parent."""
    fill(stand, [(OLD, json.dumps(FIELDS).encode())])
    real, late = stand.context.hub.commit, ["ada/late_eval_request_False_float32_Original.json"]

    def commit(*args: Any, **kwargs: Any) -> Any:
        if late:
            stand.put(late.pop(), json.dumps(FIELDS).encode())
        return real(*args, **kwargs)

    monkeypatch.setattr(stand.context.hub, "commit", commit)
    record = adopted(stand).record
    newest, parent, *_ = stand.context.hub.commits(stand.context.requests)
    assert (newest.title, parent.oid) == ("Adopt the board", record.commits[REQUESTS])
    assert record.files == 2


def test_the_old_kit_is_of_many_dialects() -> None:
    """The generated old files have many layouts, and a part of them cannot be parsed."""
    files = dict(old_files(2_000))
    assert len(files) > 1_950
    kinds = Counter(readable(path, data) for path, data in files.items())
    assert kinds[True] > 1_000
    assert kinds[False] > 400


def test_a_bot_does_not_work_on_another_boards_repo(stand: BoardDriver) -> None:
    """If the record names another board, the bot handles no request, and the doctor says that a board has one bot."""
    record = {
        "board": "theirs",
        "at": "2020-01-01T00:00:00Z",
        "by": {"id": "1", "name": "x"},
        "files": 0,
        "commits": {},
        "threads": {},
    }
    stand.put(RECORD, json.dumps(record).encode())
    path = stand.submit("ada/good")
    stand.settle()
    assert (stand.file(path)["status"], stand.threads(), stand.queued()) == ("PENDING", [], [])
    (finding,) = adoption(stand.context, on=False)
    assert finding.state == "error" and "A board has one bot" in finding.words
    stand.put(RECORD, json.dumps({**record, "board": stand.context.board.name}).encode())
    with pytest.raises(BadRecord, match="does not name a commit"):
        stand.context.adoption.read()
