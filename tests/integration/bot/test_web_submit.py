"""Submissions by programs over HTTP: the Hub names the token's owner; checks and answers are those of a thread."""

from __future__ import annotations

import json
from dataclasses import replace

import httpx2
import pytest

from bot.requests.verb_submit import SUBMIT
from bot.web.mailbox_syncs import sync_submission
from bot.web.submit import arguments_in
from hub.errors import Transient
from hub.retries import Retries
from leaderboard.roles import Role
from redis_state import clock
from redis_state.board.messages import ApiSubmission
from redis_state.redis import text
from steward.testing.board import BOB, REQUESTS, BoardDriver
from steward.testing.waiting import wait_until
from tests.support.board.submissions import GOOD, PATH, STORED, hub_settings, post, put, settled

settings = hub_settings


def test_a_good_model_is_submitted_by_the_owner_of_the_token(web: httpx2.Client, syncing: BoardDriver) -> None:
    """The token's owner is the submitter of the accepted request; other names in the body are ignored."""
    forged = {"sender": "bob", "submitter": "bob", "steward": {"submitter": "bob"}, "status": "FINISHED"}
    answer = settled(web, {**GOOD, **forged})
    assert answer.status_code == 202, answer.text
    submission = answer.json()
    assert (submission["code"], submission["path"], submission["reasons"]) == ("submitted", PATH, [])
    assert submission["request_url"].endswith(f"/datasets/board/requests/blob/main/{PATH}")
    request = wait_until(lambda: web.get(submission["json_url"]).is_success and web.get(submission["json_url"]).json())
    assert (request["submitter"], request["model"]) == ("ada", "ada/good")
    wait_until(lambda: web.get(submission["json_url"]).json()["state"] == "waiting")
    assert web.get(submission["page_url"]).status_code == 200
    file = syncing.file(PATH)
    assert (file["sender"], file["steward"]["submitter"], file["status"]) == ("ada", "ada", "PENDING")
    assert file["revision"] == submission["revision"]
    assert [cause for cause in file["steward"]["causes"] if cause.startswith("api:")]


def test_a_refused_model_is_told_with_every_reason_and_leaves_nothing(web: httpx2.Client, syncing: BoardDriver) -> None:
    """A refusal has all reasons as data and as text, commits nothing, and is stored for a minute at most."""
    before = syncing.commits()
    answer = settled(web, {"model": "ada/pickled", "precision": "1bit"})
    assert answer.status_code == 422, answer.text
    refusal = answer.json()
    codes = {reason["code"] for reason in refusal["reasons"]}
    assert refusal["code"] == "refused"
    assert len(codes) >= 2
    assert any("pickle" in reason["message"] for reason in refusal["reasons"])
    assert all(reason["message"] for reason in refusal["reasons"])
    assert "submit it again" in refusal["text"]
    assert "new comment" not in refusal["text"]
    assert (syncing.commits(), syncing.context.index.count()) == (before, 0)
    (key,) = syncing.context.redis.keys(STORED)
    assert 0 < syncing.context.redis.ttl(key) <= 60


def test_a_repeat_has_the_same_answer_and_no_second_effect(web: httpx2.Client, syncing: BoardDriver) -> None:
    """A repeat gets the same answer and no commit, with and without an idempotency key; a key fits one body."""
    first = settled(web, GOOD)
    assert first.json()["code"] == "submitted"
    assert post(web, dict(reversed(GOOD.items()))).json() == first.json()
    wait_until(lambda: syncing.context.index.count() == 1)
    commits = syncing.commits()
    with_key = settled(web, GOOD, **{"idempotency-key": "mine"})
    assert (with_key.status_code, with_key.json()["code"]) == (409, "exists")
    assert with_key.json()["path"] == PATH
    other = settled(web, GOOD, BOB)
    assert (other.status_code, other.json()["code"]) == (409, "exists")
    reused = post(web, {"model": "ada/remote"}, **{"idempotency-key": "mine"})
    assert (reused.status_code, reused.json()["code"]) == (422, "key-reused")
    assert post(web, GOOD, **{"idempotency-key": "mine"}).json() == with_key.json()
    assert syncing.commits() == commits


def test_a_submission_that_redis_forgot_is_known_by_its_file(web: httpx2.Client, syncing: BoardDriver) -> None:
    """If Redis lost a submission, a repeat of it is answered as submitted, and nothing is committed."""
    assert settled(web, GOOD).json()["code"] == "submitted"
    wait_until(lambda: web.get(f"/api/requests/{PATH}").is_success)
    commits = syncing.commits()
    for key in syncing.context.redis.keys(STORED):
        syncing.context.redis.delete(key)
    again = settled(web, GOOD)
    assert (again.status_code, again.json()["code"]) == (202, "submitted")
    assert syncing.commits() == commits


def test_one_that_is_still_checked_is_told_where_to_be_followed(
    web: httpx2.Client, stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API answers 202 with path and `retry-after` until a sync has checked the submission."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    answer = post(web, GOOD)
    assert (answer.status_code, answer.json()["code"], answer.json()["path"]) == (202, "under-way", PATH)
    assert int(answer.headers["retry-after"]) > 0
    stand.context.now = clock.now
    stand.time = clock.now()
    stand.work()
    assert post(web, GOOD).json()["code"] == "submitted"


def test_a_sync_that_died_before_its_answer_was_kept_does_nothing_twice(
    web: httpx2.Client, stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a sync dies before it stores its answer, the next one stages the same edit, which is committed once."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    stand.context.now = clock.now
    post(web, GOOD)
    (key,) = (text(name) for name in stand.context.redis.keys(STORED))
    for _ in range(2):
        stand.context.redis.hdel(key, "answer")
        sync_submission(stand.context, key.rpartition(":")[2])
        assert post(web, GOOD).json()["code"] == "submitted"
    before = stand.commits()
    stand.time = clock.now()
    stand.work()
    assert len([title for title in history(stand) if "to eval queue" in title]) == 1
    assert stand.commits() > before


def test_a_submission_waits_for_a_hub_that_is_away(
    web: httpx2.Client, stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the Hub is away, a submission stays under way, and it is checked once the Hub is back."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    monkeypatch.setattr(stand.context.hub, "retries", Retries(attempts=1))
    post(web, GOOD)
    (key,) = (text(name) for name in stand.context.redis.keys(STORED))
    rule = stand.hub.state.faults.add("GET *", "fail", times=None, status=503)
    with pytest.raises(Transient):
        sync_submission(stand.context, key.rpartition(":")[2])
    assert post(web, GOOD).json()["code"] == "under-way"
    stand.hub.state.faults.remove(rule.id)
    sync_submission(stand.context, key.rpartition(":")[2])
    assert post(web, GOOD).json()["code"] == "submitted"


def test_who_may_not_submit_is_told_so(web: httpx2.Client, stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the person's role may not submit, the API answers 403, and nothing is committed or recorded."""
    monkeypatch.setattr("bot.requests.api_submission.SUBMIT", replace(SUBMIT, who=frozenset({Role.MAINTAINER})))
    answer = carried_out(web, stand, monkeypatch)
    assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
    assert "may not submit" in answer.json()["message"]
    assert answer.json()["path"] == ""
    assert stand.context.decisions.newest(limit=10) == []
    assert not [title for title in history(stand) if "to eval queue" in title]


def test_a_hub_that_refuses_to_be_looked_at_is_told(
    web: httpx2.Client, stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the Hub refuses the calls of a check, the API answers 503, which is stored for a minute at most."""
    stand.hub.state.faults.add("GET *", "fail", times=None, status=418)
    answer = carried_out(web, stand, monkeypatch)
    assert (answer.status_code, answer.json()["code"]) == (503, "hub-refused"), answer.text
    assert answer.headers["retry-after"] == "60"
    (key,) = stand.context.redis.keys(STORED)
    assert 0 < stand.context.redis.ttl(key) <= 60
    assert stand.context.decisions.newest(limit=10) == []


def carried_out(web: httpx2.Client, stand: BoardDriver, monkeypatch: pytest.MonkeyPatch) -> httpx2.Response:
    """Submit a good model, have one sync carry it out, and return the API's answer."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    stand.context.now = clock.now
    ada = stand.hub.state.accounts.by_name("ada")
    assert ada is not None
    arguments = arguments_in(json.dumps(GOOD).encode())
    submission = ApiSubmission(person_id=ada.id, person_name="ada", arguments=arguments, at=clock.now())
    put(stand.context, submission)
    sync_submission(stand.context, submission.message_id)
    stand.hub.state.faults.clear()  # the web server asks the Hub whose token it is
    return post(web, GOOD)


def test_what_was_submitted_by_a_program_is_on_record(
    web: httpx2.Client, stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submission is recorded once, also on the Hub, even if its sync ran twice; a refused one is not recorded."""
    assert carried_out(web, stand, monkeypatch).json()["code"] == "submitted"
    (key,) = (text(name) for name in stand.context.redis.keys(STORED))
    stand.context.redis.hdel(key, "answer")
    sync_submission(stand.context, key.rpartition(":")[2])
    (decision,) = stand.context.decisions.newest(limit=10)
    assert (decision.verb, decision.person.name, decision.model, decision.requests, decision.allowed) == (
        "submit",
        "ada",
        "ada/good",
        [PATH],
        True,
    )
    assert (decision.thread, decision.comment.partition("-")[0]) == (None, "api")
    assert decision.command.startswith("/submit ada/good ")
    assert "precision=float32" in decision.command
    assert web.get("/api/decisions").json()["decisions"][0]["thread_url"] == ""
    post(web, {"model": "ada/pickled", "precision": "float32"})
    stand.time = clock.now()
    stand.work()
    assert len(stand.context.decisions.newest(limit=10)) == 1
    files = [entry.path for entry in stand.context.hub.list_files(stand.context.logs) if "decisions/" in entry.path]
    assert [path.rpartition("/")[2] for path in files] == [f"{decision.id}.json"]


def history(stand: BoardDriver) -> list[str]:
    """The titles of all commits of the requests repo."""
    return [commit.title for commit in stand.form.list_repo_commits(REQUESTS, repo_type="dataset")]


def test_the_documentation_tells_what_is_taken(web: httpx2.Client) -> None:
    """OpenAPI describes the fields of a submission, the token, the idempotency key and every status."""
    described = web.get("/openapi.json").json()
    operation = described["paths"]["/api/requests"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert {"model", "revision", "precision", "weight_type", "base_model", "model_type", "use_chat_template"} == set(
        schema["properties"]
    )
    assert {"202", "400", "401", "403", "409", "413", "422", "429", "503"} <= operation["responses"].keys()
    assert operation["security"] == [{"HTTPBearer": []}]
    assert "idempotency-key" in [parameter["name"] for parameter in operation["parameters"]]
