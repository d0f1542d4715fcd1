"""With `pull_requests: merge` the bot merges only pull requests that pass every check.

Quota and queue use the time of the merge.
"""

from __future__ import annotations

import pytest

from hub.retries import Retries
from leaderboard.effects import Effect, EffectMode
from leaderboard.times import write_time
from redis_state.board.entry import Origin
from steward.testing.board import REQUESTS, BoardDriver
from steward.testing.hub import model_files
from tests.support.board.discussion import Discussion
from tests.support.board.pull_requests import (
    GOOD,
    JUDGED,
    PATH,
    bot_comments,
    comments_of_kind,
    empty_stand,
    fields,
    look,
    newer,
    policy,
    propose,
    report,
    settled,
    thread,
)

HOUR = 3600.0
stand = empty_stand


def effects(stand: BoardDriver, **modes: str) -> None:
    """Set the board's effects; those that are not named are on."""
    changed = type(stand.context.board.effects)(modes={kind: modes.get(kind.name.lower(), "on") for kind in Effect})
    stand.context.board = stand.context.board.model_copy(update={"effects": changed})


def test_on_a_board_that_merges_a_valid_pull_request_is_merged_and_followed(stand: BoardDriver) -> None:
    """With `pull_requests: merge` the bot merges at the checked commit, and reports the status in the same thread."""
    policy(stand, "merge")
    stand.worker()
    number, head = propose(stand, {PATH: fields(stand, sender="someone-else")})
    threads = len(stand.threads())
    look(stand, number)
    assert thread(stand, number).status == "merged"
    assert f"exactly as I checked it at `{head[:8]}`" in report(stand, number)
    (status,) = comments_of_kind(stand, number, "status")
    assert "submitted by `ada`" in status
    assert [job.model for job in stand.queued()] == ["ada/good"]
    assert look(stand, number) == ["thread"]
    assert len(stand.threads()) == threads


def test_a_command_in_one_that_brought_several_requests_names_its_model(stand: BoardDriver) -> None:
    """In a pull request with several requests, a command that does not say which one is answered with their list."""
    policy(stand, "merge")
    other = PATH.replace("float32", "float16")
    stand.form.create_repo("board/model", exist_ok=True)
    for name in ("config.json", "model.safetensors"):
        stand.form.upload_file(path_or_fileobj=model_files()[name].encode(), path_in_repo=name, repo_id="board/model")
    third = PATH.replace("ada/good", "board/model")
    files = {
        PATH: fields(stand),
        other: fields(stand, precision="float16"),
        third: fields(stand, model="board/model"),
    }
    number, _ = propose(stand, files)
    look(stand, number)
    assert thread(stand, number).status == "merged"
    assert len(comments_of_kind(stand, number, "status")) == 3
    talk = Discussion(stand, number=number)
    for command in ("/cancel", "/cancel weight_type=Original", "/status"):
        reply = talk.ask(command)
        assert "This thread is about 3 requests. Which one? Add `ada/good precision=float16` or" in reply
        assert "`board/model precision=float32`" in reply
    assert "`ada/good` has 2 requests" in talk.ask("/cancel ada/good")
    assert "Which model?" in talk.ask("/flag other it is strange")
    assert [stand.file(path)["status"] for path in files] == ["PENDING"] * 3
    talk.say("/cancel precision=float16")
    assert [stand.file(path)["status"] for path in files] == ["PENDING", "CANCELLED", "PENDING"]


def test_a_time_in_the_past_neither_evades_the_quota_nor_jumps_the_queue(stand: BoardDriver) -> None:
    """Quota and queue use the time of the merge, not the earlier time that the author wrote into the file."""
    policy(stand, "merge")
    admission = stand.context.board.admission
    changes = {"off": tuple(rule for rule in admission.off if rule != "quota-submitter"), "quota": 1}
    stand.context.board = stand.context.board.model_copy(update={"admission": admission.model_copy(update=changes)})
    older, later = (PATH.replace("float32", precision) for precision in ("bfloat16", "float16"))
    stand.submit("ada/good", path=older, submitted_time=write_time(stand.time - HOUR))
    stand.settle()
    number, _ = propose(stand, {PATH: fields(stand, submitted_time=write_time(stand.time - 165 * HOUR))})
    look(stand, number)
    assert thread(stand, number).status == "merged"
    stand.time += 60
    stand.settle()
    assert stand.file(PATH)["submitted_time"] == write_time(stand.time - 60)
    entries = [stand.context.index.get(path) for path in (older, PATH)]
    assert [entry.state for entry in entries] == ["waiting", "waiting"]
    assert entries[0].submitted < entries[1].submitted
    stand.time += 4 * HOUR
    number, _ = propose(stand, {later: fields(stand, precision="float16")})
    look(stand, number)
    assert "has reached the limit of submissions" in report(stand, number)


def test_after_a_merge_by_hand_the_pull_requests_author_is_the_submitter(stand: BoardDriver) -> None:
    """If the Hub cannot serve the thread at first, the bot records the pull request's author once it can."""
    number, _ = propose(stand, {PATH: fields(stand)})
    stand.form.merge_pull_request(REQUESTS, number, repo_type="dataset")
    stand.context.hub.retries = Retries(attempts=1)
    stand.hub.state.faults.fail(f"GET /api/datasets/{REQUESTS}/discussions/{number}", status=503, times=None)
    stand.settle()
    assert stand.context.index.origin(PATH) == Origin()
    stand.hub.state.faults.clear()
    stand.time += 60
    stand.work()
    origin = stand.context.index.origin(PATH)
    assert (origin.author, origin.pull) == ("ada", number)


def test_an_extra_file_beside_a_good_one_keeps_it_from_being_merged(stand: BoardDriver) -> None:
    """If a pull request has another file beside a valid request, the report names it and the bot does not merge."""
    policy(stand, "merge")
    number, _ = propose(stand, {PATH: fields(stand), "README.md": b"x"})
    look(stand, number)
    text = report(stand, number)
    assert f"**`{PATH}`** passes every check" in text
    assert "`README.md` is new, but is no request" in text
    assert "Remove the other files" in text
    assert thread(stand, number).status == "open"


def test_a_draft_is_checked_and_merged_once_it_is_open(stand: BoardDriver) -> None:
    """The bot ignores an empty draft, reports that one with files is still a draft, and merges it once it is open."""
    policy(stand, "merge")
    draft = stand.ada.create_pull_request(REQUESTS, title="Add a model", repo_type="dataset")
    look(stand, draft.num)
    assert bot_comments(stand, draft.num) == 0
    propose(stand, {PATH: fields(stand)}, number=draft.num)
    look(stand, draft.num)
    assert "still a draft" in report(stand, draft.num)
    stand.ada.change_discussion_status(REQUESTS, draft.num, "open", repo_type="dataset")
    look(stand, draft.num)
    assert thread(stand, draft.num).status == "merged"
    assert bot_comments(stand, draft.num) == 2  # the report, and the status of the request


def test_a_settled_request_is_submitted_again_at_a_new_commit(stand: BoardDriver) -> None:
    """A pull request that changes only a settled request's status and commit is merged, and its commit is queued."""
    policy(stand, "merge")
    stand.worker()
    before = settled(stand)
    sha = newer(stand)
    number, _ = propose(stand, {PATH: {**before, "status": "PENDING", "revision": sha}})
    stand.context.me()
    calls = look(stand, number)
    assert calls.index("comment") - sum(calls[: calls.index("comment")].count(route) for route in GOOD) < JUDGED
    assert thread(stand, number).status == "merged"
    assert [job.revision for job in stand.queued()] == [sha]


@pytest.mark.parametrize("status", ["FINISHED", "CANCELLED"])
def test_a_request_that_is_submitted_again_has_the_time_of_the_merge(stand: BoardDriver, status: str) -> None:
    """The bot writes the time of the merge over an earlier one in the file, also if a retry was cancelled before a
    worker took it, and a later sync leaves it unchanged."""
    policy(stand, "merge")
    before, past = settled(stand, status=status), write_time(stand.time - 165 * HOUR)
    if status == "CANCELLED":
        before = settled(stand, status=status, steward={**before["steward"], "attempt": 2})
    stand.settle()
    again = {**before, "status": "PENDING", "revision": newer(stand), "submitted_time": past}
    number, _ = propose(stand, {PATH: again})
    look(stand, number)
    merged = write_time(stand.time)
    stand.time += 60
    stand.settle()
    stand.time += 2 * HOUR
    stand.context.mark(f"request:{PATH}")
    stand.settle()
    assert stand.file(PATH)["submitted_time"] == merged
    assert stand.context.index.get(PATH).state == "waiting"


@pytest.mark.parametrize("mode", [EffectMode.OFF, EffectMode.SHADOW])
def test_a_report_that_is_held_back_is_written_when_the_board_lets_it(stand: BoardDriver, mode: EffectMode) -> None:
    """While comments are off or in shadow, the bot checks once and merges nothing; once they are on, it merges."""
    policy(stand, "merge")
    effects(stand, comment=mode)
    number, _ = propose(stand, {PATH: fields(stand)})
    look(stand, number)
    assert look(stand, number) == ["thread"]
    assert (thread(stand, number).status, bot_comments(stand, number)) == ("open", 0)
    listed = [shadowed.effect for shadowed in stand.context.effects.shadow.read(limit=9).things]
    assert listed == (["comment"] if mode is EffectMode.SHADOW else [])
    effects(stand)
    look(stand, number)
    assert thread(stand, number).status == "merged"


@pytest.mark.parametrize("held", ["merge", "edit"])
def test_nothing_is_merged_where_merging_or_undoing_is_held_back(stand: BoardDriver, held: str) -> None:
    """If merges or edits are in shadow, the bot leaves the merge to a maintainer despite `pull_requests: merge`."""
    policy(stand, "merge")
    effects(stand, **{held: "shadow"})
    number, _ = propose(stand, {PATH: fields(stand)})
    look(stand, number)
    assert "A maintainer decides" in report(stand, number)
    assert thread(stand, number).status == "open"


def test_a_merge_that_the_hub_refuses_is_left_to_a_maintainer(stand: BoardDriver) -> None:
    """If the Hub refuses the merge, the report asks a maintainer to merge, and the bot does not try again."""
    policy(stand, "merge")
    number, _ = propose(stand, {PATH: fields(stand)})
    stand.hub.state.faults.fail("POST */merge", status=403, times=None)
    look(stand, number)
    assert "A maintainer has to merge it" in report(stand, number)
    assert look(stand, number) == ["thread"]
    assert bot_comments(stand, number) == 1


def test_a_hub_that_is_busy_for_long_is_asked_again(stand: BoardDriver) -> None:
    """If the Hub refuses the merge because another commit is under way, the next sync merges."""
    policy(stand, "merge")
    number, _ = propose(stand, {PATH: fields(stand)})
    stand.context.hub.retries = Retries(attempts=1)
    stand.hub.state.faults.fail("POST */merge", status=409, error="Another operation is in progress", times=1)
    look(stand, number)
    assert thread(stand, number).status == "open"
    stand.time += 60
    stand.work()
    assert thread(stand, number).status == "merged"


def test_one_for_another_branch_is_left_to_people(stand: BoardDriver) -> None:
    """The bot does not merge a pull request for a branch other than main, where requests are stored."""
    policy(stand, "merge")
    stand.form.create_branch(REQUESTS, branch="side", repo_type="dataset")
    number, _ = propose(stand, {PATH: fields(stand)})
    state = stand.hub.state
    with state.database.write() as database:
        database.execute("update threads set base = 'refs/heads/side' where num = ?", (number,))
    look(stand, number)
    assert "is the target branch" in report(stand, number)
    assert thread(stand, number).status == "open"
