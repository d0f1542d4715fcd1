"""A model's owner decides whether the bot publishes scores of the model: by commands, the form or the pull request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from bot.core.context import model_page_key
from bot.model_pages.consent import store_consent
from bot.probe import Probe
from bot.read_models.submit_models import SubmissionResponse
from bot.requests.api_submission import PUBLISH_SCORES, carry_out
from leaderboard.steward_facts import ScoresConsent
from redis_state.board.messages import ApiSubmission
from tests.support.board.model_pages import MODEL, UNPUBLISH, ModelPagesDriver, model_pages_board

QUIET = "ada/quiet"
QUIET_PATH = f"{QUIET}_eval_request_False_float32_Original.json"


@pytest.fixture
def stand(tmp_path: Path, connection: redis.Redis, probe: Probe) -> Iterator[ModelPagesDriver]:
    """A board that writes to models' pages, with one evaluated model."""
    with model_pages_board(tmp_path, connection, probe) as made:
        yield made


def test_only_the_owner_can_ask(stand: ModelPagesDriver) -> None:
    """Another user, or a maintainer who submitted the model, cannot have a pull request opened."""
    for api in (stand.bob, stand.form):
        assert "Only the model's owner can use `/publish-scores`." in stand.ask(api=api)
    assert "Only" in stand.ask(UNPUBLISH, stand.bob)
    assert stand.pulls() == []


@pytest.mark.long("a second of a processor")
def test_what_the_owner_closed_stays_closed(stand: ModelPagesDriver) -> None:
    """The bot does not reopen or replace a pull request that the owner closed; the owner can reopen it."""
    stand.ask()
    stand.ada.change_discussion_status(MODEL, 1, "closed")
    stand.evaluate_again(0.5)
    assert "was closed on its page, so I leave it closed" in stand.ask()
    assert stand.pulls() == [(1, "closed")] and stand.rows() == []
    stand.ada.change_discussion_status(MODEL, 1, "open")
    stand.follow()
    assert stand.rows() == [(MODEL, 50.0, 1)]


@pytest.mark.long("a board and its evaluations for one more wish of an owner")
def test_the_owner_can_close_and_reopen_the_pull_request(stand: ModelPagesDriver) -> None:
    """`/unpublish-scores` closes the pull request; a later `/publish-scores` reopens it with the present scores."""
    assert "no open pull request of mine" in stand.ask(UNPUBLISH)
    stand.ask()
    assert "I closed pull request #1" in stand.ask(UNPUBLISH)
    assert stand.rows() == []
    stand.evaluate_again(0.5)
    assert stand.rows() == []
    stand.ask()
    assert stand.rows() == [(MODEL, 50.0, 1)] and stand.pulls() == [(1, "open")]


@pytest.mark.long("a board and its evaluations for one more wish of an owner")
def test_a_merge_makes_no_new_commit_to_evaluate(stand: ModelPagesDriver) -> None:
    """After the owner merges the scores, `/resubmit` refuses the new commit, but accepts one with other changes."""
    stand.ask()
    stand.ada.merge_pull_request(MODEL, 1)
    stand.follow()
    assert stand.rows() == [(MODEL, 75.0, None)]
    assert "you merged" in stand.ask()
    answer = stand.ask(f"/resubmit {MODEL}")
    assert "waits for an evaluation" not in answer and "at this precision; its status is `FINISHED`" in answer
    stand.ada.upload_file(path_or_fileobj=b"new", path_in_repo="more.txt", repo_id=MODEL)
    assert "waits for an evaluation" in stand.ask(f"/resubmit {MODEL}")


def submit_by_form(stand: ModelPagesDriver, who: str, *, ticks: bool = True) -> SubmissionResponse:
    """Submit Ada's other model by the form as `who`, with its box ticked or not; return the answer."""
    fields = {"model": QUIET, "revision": "main", "precision": "float32", "weight_type": "Original"}
    arguments = {**fields, PUBLISH_SCORES: "yes"} if ticks else fields
    person = stand.context.hub.user(who)
    at = stand.context.now()
    message = ApiSubmission(person_id=person.id, person_name=person.name, arguments=arguments, key=who, at=at)
    return carry_out(stand.context, message)


def evaluate_waiting(stand: ModelPagesDriver, accuracy: float = 0.5) -> None:
    """Let a worker evaluate the waiting model."""
    stand.tick()
    stand.worker()
    stand.context.mark("queue")
    stand.settle()
    (job,) = stand.queued()
    assert stand.take(job) is True
    stand.end_evaluation(job, accuracy)
    stand.context.mark(model_page_key(QUIET))
    stand.settle()


@pytest.mark.long("two seconds of a processor")
def test_a_ticked_box_of_an_owner_opens_one_once_there_are_scores(stand: ModelPagesDriver) -> None:
    """The owner's tick is stored in the request file and opens one pull request when there are scores."""
    assert submit_by_form(stand, "bob").model_page.startswith("I do not publish the scores on the page")
    stand.settle()
    assert "publish_scores" not in stand.file(QUIET_PATH)["steward"]
    answer = submit_by_form(stand, "ada")
    assert (answer.code, answer.model_page[:5]) == ("exists", "Once ")
    assert submit_by_form(stand, "ada").model_page == answer.model_page
    stand.settle()
    assert stand.file(QUIET_PATH)["steward"]["publish_scores"]["by"] == "ada"
    stand.context.redis.flushall()
    stand.context.mark("requests")
    stand.settle()
    evaluate_waiting(stand)
    assert stand.pulls(QUIET) == [(1, "open")] and (QUIET, 50.0, 1) in stand.rows()
    first = stand.ada.get_discussion_details(QUIET, 1).events[0]
    assert "which `ada` asked for on its pages" in first.content
    assert "publish_scores" not in stand.file(QUIET_PATH)["steward"]
    stand.ada.change_discussion_status(QUIET, 1, "closed")
    stand.context.redis.flushall()
    stand.tick()
    stand.settle()
    assert stand.pulls(QUIET) == [(1, "closed")] and stand.pulls() == []


@pytest.mark.long("a board and its evaluations for one more wish of an owner")
def test_an_owners_command_waits_for_scores_and_can_be_taken_back(stand: ModelPagesDriver) -> None:
    """`/publish-scores` before there are results is stored until then; `/unpublish-scores` withdraws it.

    A consent in the file with the owner's name and another account's id publishes nothing.
    """
    assert "no request of it is under way" in stand.ask(f"/publish-scores {QUIET}")
    assert submit_by_form(stand, "ada", ticks=False).model_page == ""
    stand.settle()
    assert f"Once **{QUIET}** has scores" in stand.ask(f"/publish-scores {QUIET}")
    stand.settle()
    assert "/discussions/" in stand.file(QUIET_PATH)["steward"]["publish_scores"]["thread"]
    assert "I no longer wait for scores" in stand.ask(f"/unpublish-scores {QUIET}")
    stand.settle()
    assert "no open pull request of mine" in stand.ask(f"/unpublish-scores {QUIET}")
    bob = stand.context.hub.user("bob")
    forged = ScoresConsent(by="ada", by_id=bob.id, at="2026-01-01T00:00:00Z")
    assert store_consent(stand.context, QUIET_PATH, forged, cause="forged")
    stand.settle()
    assert stand.file(QUIET_PATH)["steward"]["publish_scores"]["by_id"] == bob.id
    stand.time += 600  # the board may commit again
    evaluate_waiting(stand)
    assert stand.pulls(QUIET) == []
