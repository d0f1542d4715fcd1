"""The bot reads its own files at the paths of earlier versions, and moves them in one commit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationDelete

from bot.core import former_paths
from bot.processes.schedule import Schedule
from bot.queue import rulings
from bot.queue.pauses import sync_pauses
from bot.setup.adopting import adopt
from bot.setup.doctor import examine
from hub.errors import StaleParent
from hub.records import Repo
from leaderboard.adoption import FORMER_RECORD, RECORD
from leaderboard.effects import Effect, EffectMode, Effects
from leaderboard.holds import FORMER_PAUSES, PAUSES
from leaderboard.removals import FORMER_ARCHIVE, archived
from steward.testing.board import REQUESTS, BoardDriver
from tests.support.board.queued_requests import queued, submit

RESULTS = "board/results"
OLD = "ada/good_eval_request_False_float32_Original.json"
PAUSE = {"tier:small": {"reason": "The machines are moved.", "by": "maya", "at": "2026-11-24T02:00:00Z"}}
ARCHIVED = "ada/good/results_2026-01-01T00-00-00.000000.json"


def commit(stand: BoardDriver, files: dict[str, bytes | None], repo: str = REQUESTS) -> None:
    """Commit `files` as the form's account; None deletes a file."""
    operations: list[Any] = [
        CommitOperationDelete(path) if data is None else CommitOperationAdd(path, data) for path, data in files.items()
    ]
    stand.form.create_commit(repo, operations, commit_message="Write", repo_type="dataset")


def on_main(stand: BoardDriver, repo: str = REQUESTS) -> set[str]:
    """The paths of Steward's own files on main."""
    board = stand.context.requests if repo == REQUESTS else stand.context.results
    return {file.path for file in stand.context.hub.list_files(board) if file.path.startswith(".steward/")}


def commits(stand: BoardDriver, repo: str = REQUESTS) -> int:
    """The number of commits on main."""
    return len(stand.form.list_repo_commits(repo, repo_type="dataset"))


def effects(stand: BoardDriver, mode: EffectMode) -> None:
    """Set all effects of the board to `mode`."""
    update = {"effects": Effects(modes=dict.fromkeys(Effect, mode))}
    stand.context.board = stand.context.board.model_copy(update=update)


@pytest.fixture
def former(stand: BoardDriver) -> BoardDriver:
    """A board that an earlier version adopted and paused, and from which it removed a model's results."""
    stand.submit("ada/good", status="FINISHED")
    adopt(stand.context)
    commit(
        stand, {FORMER_RECORD: stand.read(RECORD), FORMER_PAUSES: json.dumps(PAUSE, indent=2).encode(), RECORD: None}
    )
    commit(stand, {FORMER_ARCHIVE + ARCHIVED: b'{"results": {}}'}, RESULTS)
    assert on_main(stand) == {FORMER_RECORD, FORMER_PAUSES}
    return stand


def started(stand: BoardDriver) -> None:
    """Start a process of this version, and run its scheduled syncs, also after the wait before the move."""
    stand.schedule = Schedule(stand.context)
    stand.tick()
    stand.work()
    stand.time += former_paths.WAIT
    stand.tick()
    stand.work()


def test_one_commit_a_repo_moves_all_at_the_start_and_no_other_follows(former: BoardDriver) -> None:
    """One commit in each repo moves the files unchanged; pauses and adoption still hold; later starts write nothing."""
    record, before = former.read(FORMER_RECORD), (commits(former), commits(former, RESULTS))
    started(former)
    assert on_main(former) == {RECORD, PAUSES}
    assert on_main(former, RESULTS) == {archived(ARCHIVED)}
    assert (former.read(RECORD), former.file(PAUSES)) == (record, PAUSE)
    assert (commits(former), commits(former, RESULTS)) == (before[0] + 1, before[1] + 1)
    assert list(former.context.pauses.all()) == ["tier:small"]
    file = former.context.hub.read_file(former.context.requests, OLD)
    assert former.context.adoption.is_old(file, None)
    for _ in range(2):
        former.context.redis.flushall()
        started(former)
        assert list(former.context.pauses.all()) == ["tier:small"]
        assert former.context.adoption.is_old(file, None)
    assert (commits(former), commits(former, RESULTS)) == (before[0] + 1, before[1] + 1)


@pytest.mark.long("moves the files of an earlier version once more")
def test_a_start_moves_them_where_the_earlier_version_had_seen_them(former: BoardDriver) -> None:
    """A new process moves the files even if Redis already holds the head of the requests repo."""
    index, requests = former.context.index, former.context.requests
    index.put_head(requests.id, former.context.hub.head(requests), index.life())
    started(former)
    assert on_main(former) == {RECORD, PAUSES}


@pytest.mark.long("moves the files of an earlier version once more")
def test_until_they_are_moved_they_count_where_they_are(former: BoardDriver) -> None:
    """In shadow mode the files stay and still count, and the move is listed; with effects on, the bot moves them."""
    effects(former, EffectMode.SHADOW)
    before = commits(former)
    former.context.redis.flushall()
    started(former)
    assert list(former.context.pauses.all()) == ["tier:small"]
    assert former.context.adoption.is_old(former.context.hub.read_file(former.context.requests, OLD), None)
    assert rulings.pause(former.context, "tier:small", "The machines are moved.", "maya").code == "paused-already"
    assert commits(former) == before
    assert any("Move .steward/" in shadowed.does for shadowed in former.context.effects.shadow.read().things)
    effects(former, EffectMode.ON)
    former.time += 900
    former.tick()
    former.work()
    assert on_main(former) == {RECORD, PAUSES}


@pytest.mark.long("moves the files of an earlier version once more")
@pytest.mark.parametrize("landed", [True, False], ids=lambda landed: "after it" if landed else "before it")
def test_a_sync_that_dies_at_the_commit_leaves_nothing_half_done(
    former: BoardDriver, monkeypatch: pytest.MonkeyPatch, landed: bool
) -> None:
    """If the sync dies before or after the commit, all files of a repo are moved or none, by one commit in the end."""
    before, real = commits(former), former.context.hub.commit

    def dies(*arguments: Any, **options: Any) -> Any:
        if landed:
            real(*arguments, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(former.context.hub, "commit", dies)
    with pytest.raises(KeyboardInterrupt):
        former_paths.sync_former_paths(former.context)
    assert on_main(former) == ({RECORD, PAUSES} if landed else {FORMER_RECORD, FORMER_PAUSES})
    monkeypatch.setattr(former.context.hub, "commit", real)
    started(former)
    assert (on_main(former), former.file(PAUSES)) == ({RECORD, PAUSES}, PAUSE)
    assert on_main(former, RESULTS) == {archived(ARCHIVED)}
    assert commits(former) == before + 1


def test_what_a_person_writes_at_the_same_moment_is_moved_too(
    former: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a person edits a file during the move, the move fails as stale, reads again, and moves the edited file."""
    real, stale = former.context.hub.commit, list[str]()

    def raced(*arguments: Any, **options: Any) -> Any:
        if not stale:
            commit(former, {FORMER_PAUSES: b'{"board": "Back on Monday."}'})
        try:
            return real(*arguments, **options)
        except StaleParent:
            stale.append("stale")
            raise

    monkeypatch.setattr(former.context.hub, "commit", raced)
    former_paths.move(former.context, former.context.requests)
    assert stale == ["stale"]
    assert former.file(PAUSES) == {"board": "Back on Monday."}


@pytest.mark.parametrize(("place", "former_place"), [(RECORD, FORMER_RECORD), (PAUSES, FORMER_PAUSES)])
def test_a_file_that_is_moved_while_it_is_looked_for_is_found(
    former: BoardDriver, monkeypatch: pytest.MonkeyPatch, place: str, former_place: str
) -> None:
    """A process that reads the record or the pauses while another one moves the file still finds it."""
    context, real, calls = former.context, former.context.hub.find_file, list[str]()
    content = former.read(former_place)

    def raced(repo: Repo, path: str, *rest: Any, **options: Any) -> Any:
        file = real(repo, path, *rest, **options)
        if not calls:
            commit(former, {former_place: None, place: content})
        calls.append(path)
        return file

    monkeypatch.setattr(context.hub, "find_file", raced)
    if place == RECORD:
        assert context.adoption.read() is not None
    else:
        sync_pauses(context)
        assert list(context.pauses.all()) == ["tier:small"]
    assert place in calls


@pytest.mark.long("moves the files of an earlier version once more")
def test_the_move_waits_until_older_processes_are_restarted(former: BoardDriver) -> None:
    """Until the wait is over, the bot writes pauses at the former path, which processes of the earlier version read."""
    former.settle()
    former.tick()
    former.work()
    former.time += former_paths.WAIT - 300
    assert rulings.resume(former.context, "tier:small").done
    assert rulings.pause(former.context, "board", "Everything is moved.", "maya").done
    former.settle()
    assert on_main(former) == {FORMER_RECORD, FORMER_PAUSES}
    assert sorted(former.context.pauses.all()) == ["board"]
    former.time += 300
    former.settle()
    assert on_main(former) == {RECORD, PAUSES}
    assert (former.file(PAUSES)["tier:small"], sorted(former.context.pauses.all())) == (None, ["board"])


@pytest.mark.long("moves the files of an earlier version once more")
def test_a_command_that_lands_after_the_move_counts(former: BoardDriver) -> None:
    """An edit of the pauses that was staged for the former path ends the pause at the present path after the move."""
    commit(former, {FORMER_PAUSES: json.dumps({**PAUSE, "board": "Back on Monday."}).encode()})
    assert rulings.resume(former.context, "tier:small").done
    former_paths.move(former.context, former.context.requests)
    former.time += 60
    former.settle()
    former.time += 60
    former.work()
    assert on_main(former) == {RECORD, PAUSES}
    assert former.file(PAUSES) == {"tier:small": None, "board": "Back on Monday."}
    assert sorted(former.context.pauses.all()) == ["board"]


@pytest.mark.long("moves the files of an earlier version once more")
def test_a_pause_that_an_earlier_version_writes_after_the_move_counts(former: BoardDriver) -> None:
    """A file of pauses that is written at the former path after the move is merged into the present one."""
    started(former)
    former.worker()
    commit(former, {FORMER_PAUSES: b'{"tier:small": null, "board": "Back on Monday."}'})
    submit(former, "p1", sender="ada")
    former.time += 900
    former.settle()
    assert on_main(former) == {RECORD, PAUSES}
    assert former.file(PAUSES) == {"tier:small": None, "board": "Back on Monday."}
    assert queued(former) == []
    assert list(former.context.pauses.all()) == ["board"]


@pytest.mark.long("moves the files of an earlier version once more")
@pytest.mark.parametrize(
    ("present", "newer", "remaining"),
    [
        pytest.param(b"{", b'{"board": "b"}', b'{"board": "b"}', id="the present one is broken"),
        pytest.param(b'{"board": "a"}', b"{", b'{"board": "a"}', id="the former one is broken"),
        pytest.param(
            b'\xef\xbb\xbf{"board": "a"}',
            b'{"board": null}',
            b'\xef\xbb\xbf{"board": null}',
            id="with a byte order mark",
        ),
    ],
)
def test_of_two_files_of_pauses_the_one_that_can_be_read_stays(
    former: BoardDriver, present: bytes, newer: bytes, remaining: bytes
) -> None:
    """If one of two files of pauses is not valid JSON, the other one is kept at the present path."""
    commit(former, {PAUSES: present, FORMER_PAUSES: newer})
    started(former)
    assert on_main(former) == {RECORD, PAUSES}
    assert former.read(PAUSES) == remaining


def test_adopting_moves_the_record_and_does_not_change_it(former: BoardDriver) -> None:
    """`adopt` moves the record unchanged, also in shadow mode; adopting again overwrites it at the present path."""
    effects(former, EffectMode.SHADOW)
    record = former.read(FORMER_RECORD)
    adoption = adopt(former.context)
    assert (adoption.is_new, former.read(RECORD), on_main(former)) == (False, record, {RECORD, PAUSES})
    assert adopt(former.context, again=True).is_new
    assert former.read(RECORD) != record
    assert on_main(former) == {RECORD, PAUSES}


@pytest.mark.long("moves the files of an earlier version once more")
def test_many_archived_files_are_moved_in_several_commits(former: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot moves archived files in batches, one commit each, and does not overwrite a file of a later removal."""
    monkeypatch.setattr(former_paths, "BATCH_FILES", 2)
    more = {f"{FORMER_ARCHIVE}ada/m{n}/results_2026-01-01T00-00-00.json": b"former" for n in range(4)}
    later = archived("ada/m0/results_2026-01-01T00-00-00.json")
    commit(former, {**more, later: b"later"}, RESULTS)
    before = commits(former, RESULTS)
    started(former)
    former.time += 900
    former.work()
    assert on_main(former, RESULTS) == {
        archived(ARCHIVED),
        *(archived(path.removeprefix(FORMER_ARCHIVE)) for path in more),
    }
    assert former.context.hub.read_file(former.context.results, later).data == b"later"
    assert commits(former, RESULTS) == before + 3


def own_files(stand: BoardDriver) -> Iterator[tuple[str, str]]:
    """The findings of `steward doctor` about Steward's own files."""
    return (
        (check.state, f"{check.words} {check.mend}") for check in examine(stand.context) if check.name == "own files"
    )


def test_the_doctor_says_what_is_read_and_when_it_is_well(former: BoardDriver) -> None:
    """The doctor names the files at former paths, their effects and how to move them, and reports ok after the move."""
    (requests, results) = own_files(former)
    assert requests[0] == results[0] == "warning"
    for words in (FORMER_RECORD, FORMER_PAUSES, "KeyError", "steward sync"):
        assert words in requests[1]
    assert FORMER_ARCHIVE in results[1]
    effects(former, EffectMode.SHADOW)
    (requests, results) = own_files(former)
    assert "steward adopt" in requests[1]
    assert "Switch `edit` on" in results[1]
    assert [check.state for check in examine(former.context) if check.name == "adoption"] == ["ok"]
    effects(former, EffectMode.ON)
    started(former)
    ((state, words),) = own_files(former)
    assert (state, "No file of Steward" in words) == ("ok", True)
