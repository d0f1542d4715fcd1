"""A newer commit of a model whose request has ended is submitted in the same file, by people who may resubmit it."""

from __future__ import annotations

import json

import httpx2
import pytest

from bot.read_models.submit_models import SubmissionBody
from leaderboard.attempts import Failure
from steward.testing.board import BoardDriver
from tests.support.board.discussion import Discussion
from tests.support.board.ended_requests import SUBMIT, THEIRS, commit, ended
from tests.support.board.submissions import PATH, hub_settings, post_after_sync

settings = hub_settings


@pytest.mark.parametrize(("failure", "status"), [(None, "PENDING_NEW_EVAL"), (THEIRS, "PENDING")])
def test_a_newer_commit_is_submitted_directly(
    stand: BoardDriver, talk: Discussion, failure: Failure | None, status: str
) -> None:
    """`/submit` with a newer commit's hash queues an ended request again, and the request keeps its earlier results."""
    before = ended(stand, failure)
    head = commit(stand)
    reply = talk.ask(f"{SUBMIT} revision={head}")
    assert "waits for an evaluation" in reply
    assert head[:8] in reply
    stand.settle()
    file = stand.file(PATH)
    assert (file["status"], file["revision"], file["steward"]["attempt"]) == (status, head, 2)
    if failure is None:
        assert file["steward"]["kept"]["results"] == before["steward"]["results"]


@pytest.mark.parametrize("failure", [None, THEIRS])
def test_the_same_commit_is_not_evaluated_again(stand: BoardDriver, talk: Discussion, failure: Failure | None) -> None:
    """`/submit` of the commit that was evaluated changes nothing; the reply names it and suggests `/resubmit`."""
    before = ended(stand, failure)
    for revision in (before["steward"]["revision"], "main"):
        reply = talk.ask(f"{SUBMIT} revision={revision}")
        assert f"`{before['steward']['revision'][:8]}`, the commit you asked for" in reply
        assert "`/resubmit`" in reply
        assert ("`/relaunch`" in reply) == (failure is not None)
    assert stand.file(PATH) == before


def test_only_who_may_resubmit_it_submits_it_anew(stand: BoardDriver, talk: Discussion) -> None:
    """Another user's `/submit` of a newer commit changes nothing, and the reply names who may; a maintainer may."""
    before = ended(stand)
    head = commit(stand)
    reply = talk.ask(f"{SUBMIT} revision={head}", stand.bob)
    assert "already has a [request]" in reply
    assert "a maintainer of this leaderboard, the model's owner or its submitter can write `/resubmit`" in reply
    assert stand.file(PATH) == before
    assert "waits for an evaluation" in talk.ask(f"{SUBMIT} revision={head}", stand.form)


def test_what_has_not_ended_is_left_alone(stand: BoardDriver, talk: Discussion) -> None:
    """`/submit` does not change the commit of a request that waits or is being evaluated."""
    job = stand.started()
    head = commit(stand)
    assert "There is nothing more to do" in talk.ask(f"{SUBMIT} revision={head}")
    assert stand.file(PATH)["status"] == "RUNNING"
    stand.end(job, failure=Failure(cause="disk-full", fault="us", message="The disk is full."))
    assert "There is nothing more to do" in talk.ask(f"{SUBMIT} revision={head}")
    assert stand.file(PATH)["revision"] != head


@pytest.mark.long("an evaluation and a second submission for one more way of asking; the kept tests have the others")
def test_what_the_request_says_otherwise_is_told(stand: BoardDriver, talk: Discussion) -> None:
    """A request keeps its use of a chat template, and the reply says so if `/submit` asked for another."""
    ended(stand)
    reply = talk.ask(f"{SUBMIT} chat_template=yes revision={commit(stand)}")
    assert "The request keeps its own use of a chat template, which is not what you asked for." in reply
    stand.settle()
    assert not stand.file(PATH).get("use_chat_template")


@pytest.mark.long("an evaluation and a second submission for one more way of asking; the kept tests have the others")
@pytest.mark.parametrize(("base_model", "is_told"), [("ada/remote", True), ("ada/good", False)])
def test_another_base_model_is_told(stand: BoardDriver, talk: Discussion, base_model: str, is_told: bool) -> None:
    """A request keeps its base model, and the reply says so only if `/submit` named another one."""
    ended(stand, base_model="ada/good")
    reply = talk.ask(f"{SUBMIT} base_model={base_model} revision={commit(stand)}")
    assert ("The request keeps its own base model" in reply) == is_told


def test_it_is_checked_and_counted_as_any_submission(stand: BoardDriver, talk: Discussion) -> None:
    """An ended request stays unchanged if its newer commit would be refused, or if the quota is used up."""
    before = ended(stand)
    stand.submit("ada/good", path=PATH.replace("float32", "float16"), precision="float16", sender="ada")
    stand.settle()
    admission = stand.context.board.admission
    off = tuple(name for name in admission.off if name != "quota-submitter")
    stand.context.board = stand.context.board.model_copy(
        update={"admission": admission.model_copy(update={"off": off, "quota": 1})}
    )
    reply = talk.ask(f"{SUBMIT} revision={commit(stand)}")
    assert "'ada' has reached the limit of submissions" in reply
    stand.context.board = stand.context.board.model_copy(update={"admission": admission})
    stand.ada.delete_file("model.safetensors", "ada/good")
    stand.ada.upload_file(path_or_fileobj=b"x", path_in_repo="pytorch_model.bin", repo_id="ada/good")
    assert "would be refused" in talk.ask(f"{SUBMIT} revision=main")
    assert stand.file(PATH) == before


@pytest.mark.long("an evaluation and a second submission for one more way of asking; the kept tests have the others")
def test_a_model_that_was_taken_off_the_board_is_not_submitted_again(stand: BoardDriver, talk: Discussion) -> None:
    """`/submit` does not reopen the request of a removed model, because a maintainer decides about its return."""
    file = ended(stand)
    file["steward"]["removed"] = {"status": "FINISHED"}
    stand.put(PATH, json.dumps({**file, "status": "CANCELLED"}).encode())
    stand.settle()
    assert "already has a [request]" in talk.ask(SUBMIT)
    assert stand.file(PATH)["status"] == "CANCELLED"


@pytest.mark.long("an evaluation and a second submission for one more way of asking; the kept tests have the others")
def test_a_newer_commit_is_submitted_by_a_program(
    web: httpx2.Client, stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API answers 202 to people who may resubmit the model, and records the decision; others get 409."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    ended(stand)
    asked = SubmissionBody(model="ada/good", precision="float32", revision=commit(stand))
    for who, status, code in (("bob", 409, "exists"), ("ada", 202, "resubmitted")):
        answer = post_after_sync(web, stand, asked, who)
        assert (answer.status_code, answer.json()["code"], answer.json()["path"]) == (status, code, PATH)
    assert (answer.json()["revision"], answer.json()["status"]) == (asked.revision, "PENDING_NEW_EVAL")
    (decision,) = stand.context.decisions.newest(limit=10)
    assert (decision.verb, decision.person.name, decision.requests) == ("submit", "ada", [PATH])
    stand.work()
    assert stand.file(PATH)["revision"] == asked.revision


def test_only_a_maintainer_relaunches_a_finished_request(stand: BoardDriver, talk: Discussion) -> None:
    """A submitter's `/relaunch` of a finished request changes nothing; a maintainer's has it evaluated again."""
    before = ended(stand)
    assert "has finished and has results" in talk.ask("/relaunch ada/good")
    assert stand.file(PATH) == before
    assert "will be evaluated again" in talk.ask("/relaunch ada/good", stand.form)
