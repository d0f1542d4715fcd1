"""A cancelled, refused or ended request is reopened once, waits from then on, and counts for the quota from then on."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from bot.model_facts.board_facts import DAY, counted_submissions
from bot.queue.rulings import cancel
from bot.read_models.submit_models import SubmissionBody
from bot.requests.relaunching import relaunch
from bot.requests.submitting import SubmitCommand, resubmit, submit
from bot.requests.verb_check import check_model
from leaderboard.failures import cause
from leaderboard.times import write_time
from steward.testing.board import BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.ended_requests import SUBMIT, THEIRS, commit, ended
from tests.support.board.submissions import PATH, hub_settings, post_after_sync

settings = hub_settings


def cancelled(stand: BoardDriver, talk: Discussion) -> dict[str, Any]:
    """Submit Ada's model, and cancel it before a worker takes it; return its request file."""
    stand.submit("ada/good", sender="ada")
    stand.settle()
    talk.ask("/cancel ada/good")
    file = stand.file(PATH)
    assert file["status"] == "CANCELLED"
    return file


def test_a_cancelled_request_is_submitted_again_at_the_same_commit(stand: BoardDriver, talk: Discussion) -> None:
    """The submitter of a cancelled request can submit it again at the same commit, and another user cannot."""
    before = cancelled(stand, talk)
    reply = talk.ask(SUBMIT, stand.bob)
    assert "To have it evaluated all the same, a maintainer of this leaderboard, the model's owner or its" in reply
    assert stand.file(PATH) == before
    assert check_model(stand.context, "ada/good", precision="float32", submitter="ada").accepted
    assert "waits for an evaluation" in talk.ask(SUBMIT)
    stand.settle()
    file = stand.file(PATH)
    assert (file["status"], "cancelled" in file["steward"]) == ("PENDING", False)
    assert stand.context.index.get(PATH).state == "waiting"


def test_a_cancelled_request_is_submitted_again_by_a_program(
    web: httpx2.Client, stand: BoardDriver, talk: Discussion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API answers 202 and `resubmitted` to a program that submits a cancelled request again."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    cancelled(stand, talk)
    asked = SubmissionBody(model="ada/good", precision="float32")
    answer = post_after_sync(web, stand, asked, "ada")
    assert (answer.status_code, answer.json()["code"], answer.json()["status"]) == (202, "resubmitted", "PENDING")


@pytest.mark.parametrize("command", [SUBMIT, "/resubmit ada/good precision=float32"])
def test_a_cancelled_request_counts_when_it_is_submitted_again(
    stand: BoardDriver, talk: Discussion, command: str
) -> None:
    """A cancelled request counts for the quota once it is submitted again, and is refused if the quota is used up."""
    before = cancelled(stand, talk)
    stand.submit("ada/good", path=PATH.replace("float32", "float16"), precision="float16", sender="ada")
    stand.settle()
    with_quota(stand, 1)
    assert "'ada' has reached the limit of submissions" in talk.ask(command)
    assert stand.file(PATH) == before
    talk.ask("/cancel ada/good precision=float16")
    assert "waits for an evaluation" in talk.ask(command)


def with_quota(stand: BoardDriver, quota: int) -> None:
    """Give each submitter this quota."""
    admission = stand.context.board.admission
    off = tuple(dict.fromkeys((*admission.off, "quota-organisation")))
    changes = {"off": tuple(name for name in off if name != "quota-submitter"), "quota": quota}
    stand.context.board = stand.context.board.model_copy(update={"admission": admission.model_copy(update=changes)})


@pytest.mark.long("a board for one more way in which a request comes back")
def test_resubmissions_of_old_requests_are_counted_from_then_on(stand: BoardDriver, talk: Discussion) -> None:
    """A resubmission counts for the quota at its own time: with a quota of one, only one of two old models passes."""
    paths = [PATH, PATH.replace("float32", "float16")]
    for path in paths:
        stand.submit("ada/good", path=path, sender="ada", submitted_time=write_time(stand.time - 30 * DAY))
        stand.settle()
        stand.fail_next(THEIRS)
        stand.time += 60
        stand.settle()
    with_quota(stand, 1)
    head, results = commit(stand), []
    for path in paths:
        entry = stand.context.index.get(path)
        results.append(resubmit(stand.context, entry, revision=head, submitter="ada", cause="c", counts=True).how)
        stand.settle()
    assert results == ["resubmitted", "quota"]
    assert stand.file(PATH)["submitted_time"] == write_time(stand.time)


@pytest.mark.long("a board for one more way in which a request comes back")
@pytest.mark.parametrize("way", ["relaunched", "resubmitted"])
def test_a_refused_request_waits_from_its_reopening_on(stand: BoardDriver, talk: Discussion, way: str) -> None:
    """A reopened request queues behind one from an hour ago, and the quota counts it from its reopening on."""
    with_quota(stand, 0)
    stand.submit("ada/good", sender="ada", submitted_time=write_time(stand.time - 30 * DAY))
    stand.settle()
    assert stand.file(PATH)["steward"]["failure"]["cause"] == "quota-submitter"
    with_quota(stand, 1)
    other = PATH.replace("float32", "float16")
    stand.submit("ada/good", path=other, sender="bob", submitted_time=write_time(stand.time - 3_600))
    stand.settle()
    stand.time += 60
    entry = stand.context.index.get(PATH)
    if way == "relaunched":
        assert relaunch(stand.context, entry, cause="c").how == "done"
    else:
        head = commit(stand)
        assert resubmit(stand.context, entry, revision=head, submitter="ada", cause="c", counts=True).how == way
    stand.settle()
    first, second = (stand.context.index.get(path) for path in (other, PATH))
    assert (first.state, second.state) == ("waiting", "waiting")
    assert first.submitted < second.submitted == stand.time
    assert stand.file(PATH)["submitted_time"] == write_time(stand.time)
    assert counted_submissions(stand.context, "ada") == 1


@pytest.mark.long("a board for one more way in which a request comes back")
def test_a_withdrawn_request_counts_when_it_is_relaunched(stand: BoardDriver, talk: Discussion) -> None:
    """A relaunch of a withdrawn request counts for the quota, and fails if another model has used the quota up."""
    with_quota(stand, 1)
    stand.submit("ada/good", sender="ada", submitted_time=write_time(stand.time))
    stand.settle()
    assert cancel(stand.context, PATH, "Not yet.", "ada").done
    stand.settle()
    stand.submit("ada/good", path=PATH.replace("float32", "float16"), sender="ada")
    stand.settle()
    stand.time += 60
    assert relaunch(stand.context, stand.context.index.get(PATH), cause="c").how == "done"
    stand.settle()
    stand.time += 60
    stand.settle()
    file = stand.file(PATH)
    assert (file["status"], file["steward"]["failure"]["cause"]) == ("FAILED", "quota-submitter")


@pytest.mark.long("a board for one more way in which a request comes back")
@pytest.mark.parametrize("way", ["relaunched", "by hand"])
def test_a_request_cancelled_in_the_queue_is_judged_again(stand: BoardDriver, talk: Discussion, way: str) -> None:
    """If a second attempt is cancelled before a worker takes it, reopening the request judges the model again."""
    ended(stand, THEIRS)
    assert relaunch(stand.context, stand.context.index.get(PATH), cause="c").how == "done"
    stand.settle()
    stand.worker()
    stand.context.mark("queue")
    stand.settle()
    assert len(stand.queued()) == 1
    assert cancel(stand.context, PATH, "Not yet.", "ada").done
    stand.settle()
    stand.time += DAY
    stand.ada.delete_repo("ada/good")
    if way == "relaunched":
        assert relaunch(stand.context, stand.context.index.get(PATH), cause="d").how == "done"
    else:
        stand.put(PATH, json.dumps({**stand.file(PATH), "status": "RERUN"}).encode())
    stand.settle()
    stand.time += 60
    stand.settle()
    assert stand.file(PATH)["status"] == "FAILED"
    assert stand.file(PATH)["steward"]["failure"]["cause"].startswith("model-")
    assert stand.queued() == []


@pytest.mark.long("a board for one more way in which a request comes back")
def test_a_cancelled_retry_is_put_back_at_another_commit(stand: BoardDriver, talk: Discussion) -> None:
    """If a person puts a cancelled retry back with a newer commit in the file, the bot evaluates that commit."""
    stand.submit("ada/good", sender="ada")
    stand.settle()
    stand.fail_next(cause("worker-lost").failure("it fell silent"))
    assert stand.file(PATH)["steward"]["attempt"] == 2
    assert stand.file(PATH)["steward"]["revision"] is not None
    assert cancel(stand.context, PATH, "Not yet.", "ada").done
    stand.settle()
    assert stand.file(PATH)["status"] == "CANCELLED"
    head = commit(stand)
    stand.put(PATH, json.dumps({**stand.file(PATH), "status": "PENDING", "revision": head}).encode())
    stand.settle()
    stand.worker()
    stand.context.mark("queue")
    stand.settle()
    (job,) = stand.queued()
    assert (job.revision, job.attempt[-2:]) == (head, "-3")


def submit_command(revision: str) -> SubmitCommand:
    """A submission of Ada's model at `revision`."""
    return SubmitCommand(
        "ada/good", revision, "float32", "Original", "", use_chat_template=False, submitter="ada", submitter_id="a"
    )


def result_of(stand: BoardDriver, command: SubmitCommand) -> str:
    """Submit as one program does, which may resubmit Ada's request; return the result."""
    return submit(stand.context, command, cause="c1:0", may_resubmit=lambda entry: entry.path == PATH).how


def test_a_program_submits_each_time_that_its_request_was_cancelled(stand: BoardDriver, talk: Discussion) -> None:
    """The same submission reopens the request at the same commit after each cancellation, and once when repeated."""
    command = submit_command("main")
    assert result_of(stand, command) == "submitted"
    for _ in range(2):
        stand.settle()
        assert cancel(stand.context, PATH, "Not yet.", "ada").done
        stand.settle()
        stand.time += 60
        for _ in range(2):
            assert result_of(stand, command) == "resubmitted"
            stand.work()
            assert stand.file(PATH)["status"] == "PENDING"


def test_a_bot_that_died_reopens_it_once(stand: BoardDriver) -> None:
    """A command that the bot repeats, before or after its edit was committed, is reported as done and done once."""
    ended(stand)
    command = submit_command(commit(stand))
    commits = stand.commits()

    for _ in range(2):
        assert result_of(stand, command) == "resubmitted"
    stand.work()
    assert result_of(stand, command) == "resubmitted"
    stand.work()
    assert (stand.commits(), stand.file(PATH)["steward"]["attempt"]) == (commits + 1, 2)
