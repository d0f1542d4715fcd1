"""Submitting by a program, over HTTP: who it is by the Hub's word, and the same checks and answers as in a thread."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import redis
from bot_kit import BOARD
from stand_kit import ADA, BOB, BOT, REQUESTS, Stand

from bot.commands.limits import MOST
from bot.commands.verbs.submit import SUBMIT
from bot.settings import BotSettings
from bot.submissions import Submission, Submissions
from bot.sync.submissions import sync_submission
from bot.web.submit import arguments_in
from bot.web.submit_who import WRONG
from hub.errors import Transient
from hub.retries import Retries
from leaderboard.boards import parse_board
from leaderboard.roles import Role
from wire import clock
from wire.keys import Keys
from wire.redis import text

KEYS = Keys("demo")
GOOD = {"model": "ada/good", "precision": "float32"}
PATH = "ada/good_eval_request_False_float32_Original.json"
Eventually = Callable[..., Any]


@pytest.fixture
def settings(settings: BotSettings, stand: Stand) -> BotSettings:
    """The settings of a web server that asks the Hub of `stand` whose token was shown."""
    return settings.model_copy(update={"hf_endpoint": stand.hub.url})


@pytest.fixture
def syncing(stand: Stand) -> Iterator[Stand]:
    """A board whose syncs run beside the test, by the clock of the web server."""
    stand.desk.now = clock.now
    stand.desk.me()
    thread = threading.Thread(target=stand.loop.run)
    thread.start()
    yield stand
    stand.loop.stop()
    thread.join()


def post(web: httpx2.Client, body: object, token: str = ADA, **headers: str) -> httpx2.Response:
    """Submit by a program."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"authorization": f"Bearer {token}"} if token else {}
    return web.post("/api/requests", content=content, headers={**given, **headers}, timeout=30)


def asked_whose(stand: Stand) -> int:
    """How often the Hub was asked whose token it is, by whomever."""
    return sum(one["count"] for one in stand.hub.box.stats.read()["calls"] if "whoami" in one["route"])


def settled(web: httpx2.Client, body: object, token: str = ADA, **headers: str) -> httpx2.Response:
    """Submit until it is known what came of it."""
    answer = post(web, body, token, **headers)
    for _ in range(20):
        if answer.status_code != 202 or answer.json()["code"] != "under-way":
            break
        answer = post(web, body, token, **headers)
    return answer


def test_a_good_model_is_submitted_by_the_owner_of_the_token(
    web: httpx2.Client, syncing: Stand, eventually: Eventually
) -> None:
    """The request is on the Hub, accepted, with the person as submitter; who the body names is not looked at."""
    forged = {"sender": "bob", "submitter": "bob", "steward": {"submitter": "bob"}, "status": "FINISHED"}
    answer = settled(web, {**GOOD, **forged})
    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["code"], told["path"], told["reasons"]) == ("submitted", PATH, [])
    assert told["request_url"].endswith(f"/datasets/board/requests/blob/main/{PATH}")
    found = eventually(lambda: web.get(told["json_url"]).is_success and web.get(told["json_url"]).json())
    assert (found["submitter"], found["model"]) == ("ada", "ada/good")
    eventually(lambda: web.get(told["json_url"]).json()["state"] == "waiting")
    assert web.get(told["page_url"]).status_code == 200
    file = syncing.file(PATH)
    assert (file["sender"], file["steward"]["submitter"], file["status"]) == ("ada", "ada", "PENDING")
    assert file["revision"] == told["revision"]
    assert [cause for cause in file["steward"]["causes"] if cause.startswith("api:")]


def test_a_refused_model_is_told_with_every_reason_and_leaves_nothing(web: httpx2.Client, syncing: Stand) -> None:
    """As data and in the words of a thread; a mended model can be submitted in the same words a minute later."""
    before = syncing.commits()
    answer = settled(web, {"model": "ada/pickled", "precision": "1bit"})
    assert answer.status_code == 422, answer.text
    told = answer.json()
    codes = {one["code"] for one in told["reasons"]}
    assert told["code"] == "refused"
    assert len(codes) >= 2
    assert any("pickle" in one["message"] for one in told["reasons"])
    assert all(one["message"] for one in told["reasons"])
    assert "submit it again" in told["text"]
    assert "new comment" not in told["text"]
    assert (syncing.commits(), syncing.desk.index.count()) == (before, 0)
    (key,) = syncing.desk.redis.keys(KEYS.submission("*"))
    assert 0 < syncing.desk.redis.ttl(key) <= 60


def test_a_repeat_has_the_same_answer_and_no_second_effect(
    web: httpx2.Client, syncing: Stand, eventually: Eventually
) -> None:
    """With a key or without; another person's submission is another one; a key is good for one submission alone."""
    first = settled(web, GOOD)
    assert first.json()["code"] == "submitted"
    assert post(web, dict(reversed(GOOD.items()))).json() == first.json()
    eventually(lambda: syncing.desk.index.count() == 1)
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


def test_a_submission_that_redis_forgot_is_known_by_its_file(
    web: httpx2.Client, syncing: Stand, eventually: Eventually
) -> None:
    """Sent again it is told as submitted, not as somebody else's, and nothing is written."""
    assert settled(web, GOOD).json()["code"] == "submitted"
    eventually(lambda: web.get(f"/api/requests/{PATH}").is_success)
    commits = syncing.commits()
    for key in syncing.desk.redis.keys(KEYS.submission("*")):
        syncing.desk.redis.delete(key)
    again = settled(web, GOOD)
    assert (again.status_code, again.json()["code"]) == (202, "submitted")
    assert syncing.commits() == commits


def test_who_shows_no_good_token_is_told_so(web: httpx2.Client, syncing: Stand) -> None:
    """None, none of the right form, none that the Hub knows, the bot's own, an organisation's: nothing is noted."""
    for token in ("", "hf_nobody", "not a token", "hf_<script>"):
        answer = post(web, GOOD, token)
        assert (answer.status_code, answer.json()["code"]) == (401, "bad-token"), token
        assert answer.headers["www-authenticate"] == "Bearer"
    basic = web.post("/api/requests", json=GOOD, auth=("ada", ADA))
    assert (basic.status_code, basic.json()["code"]) == (401, "bad-token")
    bot = post(web, GOOD, BOT)
    assert (bot.status_code, bot.json()["code"]) == (403, "no-person")
    accounts = syncing.hub.box.accounts
    organisation = accounts.by_name("board")
    assert organisation is not None
    accounts.add_token(organisation, "hf_board", {"role": "write"})
    nobody = post(web, GOOD, "hf_board")
    assert (nobody.status_code, nobody.json()["code"]) == (403, "no-person")
    assert syncing.desk.redis.keys(KEYS.submission("*")) == []


def test_an_address_that_guesses_tokens_is_not_asked_about_any_more(web: httpx2.Client, stand: Stand) -> None:
    """So many wrong ones a minute; the same wrong one costs one call."""
    for _ in range(3):
        assert post(web, GOOD, "hf_same").status_code == 401
    assert asked_whose(stand) == 1
    for number in range(WRONG - 1):
        assert post(web, GOOD, f"hf_wrong{number}").status_code == 401
    answer = post(web, GOOD, "hf_another")
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many")
    assert answer.headers["retry-after"] == "60"


def test_the_quota_holds_as_in_a_thread(web: httpx2.Client, stand: Stand, eventually: Eventually) -> None:
    """Its refusal is 429, with the reason; no request is written."""
    off = tuple(one for one in stand.desk.board.admission.off if one != "quota-submitter")
    policy = stand.desk.board.admission.model_copy(update={"quota": 1, "off": off})
    stand.desk.board = stand.desk.board.model_copy(update={"admission": policy})
    stand.desk.now = clock.now
    thread = threading.Thread(target=stand.loop.run)
    thread.start()
    try:
        assert settled(web, GOOD).json()["code"] == "submitted"
        eventually(lambda: web.get(f"/api/requests/{PATH}").is_success)
        eventually(lambda: web.get(f"/api/requests/{PATH}").json()["state"] == "waiting")
        answer = settled(web, {**GOOD, "precision": "bfloat16"})
    finally:
        stand.loop.stop()
        thread.join()
    assert (answer.status_code, answer.json()["code"]) == (429, "quota"), answer.text
    assert [one["code"] for one in answer.json()["reasons"]] == ["quota-submitter"]
    assert stand.desk.index.count() == 1


def test_who_has_done_too_much_within_the_hour_has_to_wait(
    web: httpx2.Client, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By account, together with commands in threads; a repeat does not count, and others go on."""
    monkeypatch.setattr("bot.web.checks.PATIENCE", 0.0)
    for number in range(MOST):
        assert post(web, {"model": f"ada/m{number}"}).status_code == 202
    late = post(web, {"model": "ada/late"})
    assert (late.status_code, late.json()["code"]) == (429, "too-many")
    assert 60 <= int(late.headers["retry-after"]) <= 3_600
    assert post(web, {"model": "ada/m0"}).json()["code"] == "under-way"
    assert post(web, {"model": "ada/late"}, BOB).status_code == 202


def test_one_that_is_still_checked_is_told_where_to_be_followed(
    web: httpx2.Client, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """202 with its path, and how long to wait before it is sent again; the answer is there once a sync was through."""
    monkeypatch.setattr("bot.web.checks.PATIENCE", 0.0)
    answer = post(web, GOOD)
    assert (answer.status_code, answer.json()["code"], answer.json()["path"]) == (202, "under-way", PATH)
    assert int(answer.headers["retry-after"]) > 0
    stand.desk.now = clock.now
    stand.time = clock.now()
    stand.work()
    assert post(web, GOOD).json()["code"] == "submitted"


def test_a_sync_that_died_before_its_answer_was_kept_does_nothing_twice(
    web: httpx2.Client, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edit was staged; it is staged again under the same name, and there is one commit."""
    monkeypatch.setattr("bot.web.checks.PATIENCE", 0.0)
    stand.desk.now = clock.now
    post(web, GOOD)
    (key,) = (text(name) for name in stand.desk.redis.keys(KEYS.submission("*")))
    for _ in range(2):
        stand.desk.redis.hdel(key, "answer")
        sync_submission(stand.desk, key.rpartition(":")[2])
        assert post(web, GOOD).json()["code"] == "submitted"
    before = stand.commits()
    stand.time = clock.now()
    stand.work()
    assert len([one for one in history(stand) if "to eval queue" in one]) == 1
    assert stand.commits() > before


def test_a_submission_waits_for_a_hub_that_is_away(
    web: httpx2.Client, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was taken; the checks fail, and are made once the Hub is back."""
    monkeypatch.setattr("bot.web.checks.PATIENCE", 0.0)
    monkeypatch.setattr(stand.desk.hub, "retries", Retries(attempts=1))
    post(web, GOOD)
    (key,) = (text(name) for name in stand.desk.redis.keys(KEYS.submission("*")))
    rule = stand.hub.box.faults.add("GET *", "fail", times=None, status=503)
    with pytest.raises(Transient):
        sync_submission(stand.desk, key.rpartition(":")[2])
    assert post(web, GOOD).json()["code"] == "under-way"
    stand.hub.box.faults.remove(rule.id)
    sync_submission(stand.desk, key.rpartition(":")[2])
    assert post(web, GOOD).json()["code"] == "submitted"


def test_who_may_not_submit_is_told_so(web: httpx2.Client, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """403 where a board lets others submit; nothing is written, and nothing is kept for later."""
    monkeypatch.setattr("bot.sync.submissions.SUBMIT", replace(SUBMIT, who=frozenset({Role.MAINTAINER})))
    answer = carried_out(web, stand, monkeypatch)
    assert (answer.status_code, answer.json()["code"]) == (403, "not-allowed")
    assert "may not submit" in answer.json()["message"]
    assert answer.json()["path"] == ""
    assert stand.desk.decisions.newest(limit=10) == []
    assert not [one for one in history(stand) if "to eval queue" in one]


def test_a_hub_that_refuses_to_be_looked_at_is_told(
    web: httpx2.Client, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 for what does not pass by itself; it is forgotten within a minute, so the same can be sent again."""
    stand.hub.box.faults.add("GET *", "fail", times=None, status=418)
    answer = carried_out(web, stand, monkeypatch)
    assert (answer.status_code, answer.json()["code"]) == (503, "hub-refused"), answer.text
    assert answer.headers["retry-after"] == "60"
    (key,) = stand.desk.redis.keys(KEYS.submission("*"))
    assert 0 < stand.desk.redis.ttl(key) <= 60
    assert stand.desk.decisions.newest(limit=10) == []


def carried_out(web: httpx2.Client, stand: Stand, monkeypatch: pytest.MonkeyPatch) -> httpx2.Response:
    """Submit a good model, have a sync look at it once, and ask what came of it."""
    monkeypatch.setattr("bot.web.checks.PATIENCE", 0.0)
    stand.desk.now = clock.now
    ada = stand.hub.box.accounts.by_name("ada")
    assert ada is not None
    arguments = arguments_in(json.dumps(GOOD).encode())
    submission = Submission(person_id=ada.id, person_name="ada", arguments=arguments, at=clock.now())
    Submissions(stand.desk.redis, KEYS).put(submission)
    sync_submission(stand.desk, submission.digest)
    stand.hub.box.faults.clear()  # the web server asks the Hub whose token it is
    return post(web, GOOD)


def test_what_was_submitted_by_a_program_is_on_record(
    web: httpx2.Client, stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, also where a sync died and did it again; in the file on the Hub as well. What was refused left nothing."""
    assert carried_out(web, stand, monkeypatch).json()["code"] == "submitted"
    (key,) = (text(name) for name in stand.desk.redis.keys(KEYS.submission("*")))
    stand.desk.redis.hdel(key, "answer")
    sync_submission(stand.desk, key.rpartition(":")[2])
    (one,) = stand.desk.decisions.newest(limit=10)
    assert (one.verb, one.person.name, one.model, one.requests, one.allowed) == (
        "submit",
        "ada",
        "ada/good",
        [PATH],
        True,
    )
    assert (one.thread, one.comment.partition("-")[0]) == (None, "api")
    assert one.command.startswith("/submit ada/good ")
    assert "precision=float32" in one.command
    assert web.get("/api/decisions").json()["decisions"][0]["thread_url"] == ""
    post(web, {"model": "ada/pickled", "precision": "float32"})
    stand.time = clock.now()
    stand.work()
    assert len(stand.desk.decisions.newest(limit=10)) == 1
    files = [entry.path for entry in stand.desk.hub.list_files(stand.desk.logs) if "decisions/" in entry.path]
    assert [path.rpartition("/")[2] for path in files] == [f"{one.id}.json"]


def history(stand: Stand) -> list[str]:
    """The titles of all commits of the requests repo."""
    return [one.title for one in stand.form.list_repo_commits(REQUESTS, repo_type="dataset")]


def test_a_body_that_is_not_right_is_told_and_costs_no_call(web: httpx2.Client, stand: Stand) -> None:
    """No JSON: 400; too long: 413, also where it is sent without its length; what is in it: 422."""
    wrong: list[tuple[object, int, str]] = [
        (b"", 400, "bad-json"),
        (b"{", 400, "bad-json"),
        (b"\xff\xfe", 400, "bad-json"),
        (b"[" * 10_000, 400, "bad-json"),
        (b'{"model": "\\ud800"}', 400, "bad-json"),
        (b"[]", 422, "bad-body"),
        ({}, 422, "bad-body"),
        ({"model": 7}, 422, "bad-body"),
        ({"model": "../../etc/passwd"}, 422, "bad-body"),
        ({"model": "ada/good", "precision": "a\nb"}, 422, "bad-body"),
        ({"model": "ada/good", "revision": "x" * 101}, 422, "bad-body"),
        ({"model": "ada/good", "base_model": "a/b/c"}, 422, "bad-body"),
        ({"model": "ada/good", "use_chat_template": "yes"}, 422, "bad-body"),
        (b'{"model": "' + b"x" * 20_000 + b'"}', 413, "too-large"),
    ]
    for body, status, code in wrong:
        answer = post(web, body)
        assert (answer.status_code, answer.json()["code"]) == (status, code), body
        assert answer.json().keys() == {"code", "message", "advice"}
    pieces = (b"x" * 1_000 for _ in range(50))
    headers = {"authorization": f"Bearer {ADA}"}
    assert web.post("/api/requests", content=pieces, headers=headers).status_code == 413
    assert asked_whose(stand) == 0


def test_a_hub_that_is_away_is_told_with_when_to_come_again(web: httpx2.Client, stand: Stand) -> None:
    """503 where nobody can say whose token it is; once the Hub is back the same is taken. A rate limit says for how
    long."""
    faults = stand.hub.box.faults
    rule = faults.add("GET /api/whoami-v2", "fail", times=None, status=503)
    answer = post(web, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (503, "hub-away")
    assert answer.headers["retry-after"] == "60"
    faults.remove(rule.id)
    faults.add("GET /api/whoami-v2", "fail", times=5, status=429, headers={"retry-after": "77"})
    limited = post(web, GOOD)
    assert (limited.status_code, limited.json()["code"]) == (503, "hub-away")
    assert limited.headers["retry-after"] == "77"


def test_a_board_that_writes_nothing_says_so(web: httpx2.Client, stand: Stand) -> None:
    """With edits off nothing is submitted, and nobody is told otherwise."""
    stand.desk.board = parse_board(BOARD.replace("effects: on", "effects: off"))
    stand.desk.now = clock.now
    thread = threading.Thread(target=stand.loop.run)
    thread.start()
    try:
        answer = settled(web, GOOD)
    finally:
        stand.loop.stop()
        thread.join()
    assert (answer.status_code, answer.json()["code"]) == (409, "off"), answer.text


def test_the_token_is_kept_nowhere(
    web: httpx2.Client,
    syncing: Stand,
    connection: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Not in an answer, a log, a file on the Hub, or in anything that Redis holds: the good one, and a wrong one."""
    caplog.set_level(logging.DEBUG)
    wrong = "hf_thisisnobodystoken"
    answers = [settled(web, GOOD), settled(web, {"model": "ada/pickled"}), post(web, GOOD, wrong), post(web, b"{")]
    assert [one.status_code for one in answers] == [202, 422, 401, 400]
    printed = capfd.readouterr()
    said = [printed.out, printed.err, caplog.text, *(f"{one.headers}{one.text}" for one in answers)]
    for token in (ADA, wrong):
        assert not [words for words in said if token in words]
        assert not [words for words in everything(connection) if token.encode() in words]


def everything(connection: redis.Redis) -> Iterator[bytes]:
    """All that lies in Redis, as it is."""
    for key in connection.keys("*"):
        yield key
        kind = connection.type(key).decode()
        if kind == "string":
            yield connection.get(key) or b""
        elif kind == "hash":
            yield repr(connection.hgetall(key)).encode()
        elif kind == "list":
            yield repr(connection.lrange(key, 0, -1)).encode()
        elif kind == "set":
            yield repr(connection.smembers(key)).encode()
        elif kind == "zset":
            yield repr(connection.zrange(key, 0, -1)).encode()
        else:
            yield repr(connection.xrange(key)).encode()


def test_pages_of_other_origins_may_not_submit(web: httpx2.Client) -> None:
    """A browser asks before it sends a token along, and is refused."""
    asked = web.options("/api/requests", headers={"origin": "https://a.space", "access-control-request-method": "POST"})
    assert asked.status_code == 400


def test_the_documentation_tells_what_is_taken(web: httpx2.Client) -> None:
    """The body's fields, the token, the key, and every answer."""
    described = web.get("/openapi.json").json()
    told = described["paths"]["/api/requests"]["post"]
    schema = told["requestBody"]["content"]["application/json"]["schema"]
    assert {"model", "revision", "precision", "weight_type", "base_model", "use_chat_template"} == set(
        schema["properties"]
    )
    assert {"202", "400", "401", "403", "409", "413", "422", "429", "503"} <= told["responses"].keys()
    assert told["security"] == [{"HTTPBearer": []}]
    assert "idempotency-key" in [one["name"] for one in told["parameters"]]
