"""Submissions over HTTP without a valid token, with a wrong body, from other origins, too often, or without the Hub."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx2
import pytest
import redis

from bot.threads.limits import MAX_COMMANDS
from bot.web.tokens import MAX_WRONG
from leaderboard.boards import parse_board
from steward.testing.board import ADA, BOARD, BOB, BOT, BoardDriver
from steward.testing.waiting import wait_until
from tests.support.board.submissions import GOOD, PATH, STORED, asked_whose, hub_settings, post, settled, syncs_beside

settings = hub_settings


def test_who_shows_no_good_token_is_told_so(web: httpx2.Client, syncing: BoardDriver) -> None:
    """An invalid token gets 401, that of the bot or of an organisation 403, and no submission is stored."""
    for token in ("", "hf_nobody", "not a token", "hf_<script>"):
        answer = post(web, GOOD, token)
        assert (answer.status_code, answer.json()["code"]) == (401, "bad-token"), token
        assert answer.headers["www-authenticate"] == "Bearer"
    basic = web.post("/api/requests", json=GOOD, auth=("ada", ADA))
    assert (basic.status_code, basic.json()["code"]) == (401, "bad-token")
    bot = post(web, GOOD, BOT)
    assert (bot.status_code, bot.json()["code"]) == (403, "no-person")
    accounts = syncing.hub.state.accounts
    organisation = accounts.by_name("board")
    assert organisation is not None
    accounts.add_token(organisation, "hf_board", {"role": "write"})
    no_person = post(web, GOOD, "hf_board")
    assert (no_person.status_code, no_person.json()["code"]) == (403, "no-person")
    assert syncing.context.redis.keys(STORED) == []


def test_an_address_that_guesses_tokens_is_not_asked_about_any_more(web: httpx2.Client, stand: BoardDriver) -> None:
    """The server asks the Hub once about each wrong token; after MAX_WRONG of them the client gets 429."""
    for _ in range(3):
        assert post(web, GOOD, "hf_same").status_code == 401
    assert asked_whose(stand) == 1
    for number in range(MAX_WRONG - 1):
        assert post(web, GOOD, f"hf_wrong{number}").status_code == 401
    answer = post(web, GOOD, "hf_another")
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many")
    assert answer.headers["retry-after"] == "60"


def test_the_quota_holds_as_in_a_thread(web: httpx2.Client, stand: BoardDriver) -> None:
    """A submission beyond the quota gets 429 with the reason, and no request is written."""
    off = tuple(rule for rule in stand.context.board.admission.off if rule != "quota-submitter")
    policy = stand.context.board.admission.model_copy(update={"quota": 1, "off": off})
    stand.context.board = stand.context.board.model_copy(update={"admission": policy})
    with syncs_beside(stand):
        assert settled(web, GOOD).json()["code"] == "submitted"
        wait_until(lambda: web.get(f"/api/requests/{PATH}").is_success)
        wait_until(lambda: web.get(f"/api/requests/{PATH}").json()["state"] == "waiting")
        answer = settled(web, {**GOOD, "precision": "bfloat16"})
    assert (answer.status_code, answer.json()["code"]) == (429, "quota"), answer.text
    assert [reason["code"] for reason in answer.json()["reasons"]] == ["quota-submitter"]
    assert stand.context.index.count() == 1


def test_who_has_done_too_much_within_the_hour_has_to_wait(
    web: httpx2.Client, stand: BoardDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server limits the submissions of an account per hour; a repeat does not count, and other accounts go on."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    for number in range(MAX_COMMANDS):
        assert post(web, {"model": f"ada/m{number}"}).status_code == 202
    late = post(web, {"model": "ada/late"})
    assert (late.status_code, late.json()["code"]) == (429, "too-many")
    assert 60 <= int(late.headers["retry-after"]) <= 3_600
    assert post(web, {"model": "ada/m0"}).json()["code"] == "under-way"
    assert post(web, {"model": "ada/late"}, BOB).status_code == 202


def test_a_body_that_is_not_right_is_told_and_costs_no_call(web: httpx2.Client, stand: BoardDriver) -> None:
    """Invalid JSON gets 400, a long body 413 and wrong fields 422, without a call to the Hub."""
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


def test_a_hub_that_is_away_is_told_with_when_to_come_again(web: httpx2.Client, stand: BoardDriver) -> None:
    """If the Hub cannot name the token's owner, the API answers 503, with `retry-after` from the Hub or a minute."""
    faults = stand.hub.state.faults
    rule = faults.add("GET /api/whoami-v2", "fail", times=None, status=503)
    answer = post(web, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (503, "hub-away")
    assert answer.headers["retry-after"] == "60"
    faults.remove(rule.id)
    faults.add("GET /api/whoami-v2", "fail", times=5, status=429, headers={"retry-after": "77"})
    limited = post(web, GOOD)
    assert (limited.status_code, limited.json()["code"]) == (503, "hub-away")
    assert limited.headers["retry-after"] == "77"


def test_a_board_that_writes_nothing_says_so(web: httpx2.Client, stand: BoardDriver) -> None:
    """A board with its effects off refuses a submission with status 409 and the code `off`."""
    stand.context.board = parse_board(BOARD.replace("effects: on", "effects: off"))
    with syncs_beside(stand):
        answer = settled(web, GOOD)
    assert (answer.status_code, answer.json()["code"]) == (409, "off"), answer.text


def test_the_token_is_kept_nowhere(
    web: httpx2.Client,
    syncing: BoardDriver,
    connection: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Neither a valid nor a wrong token is in answers, logs or Redis."""
    caplog.set_level(logging.DEBUG)
    wrong = "hf_thisisnobodystoken"
    answers = [settled(web, GOOD), settled(web, {"model": "ada/pickled"}), post(web, GOOD, wrong), post(web, b"{")]
    assert [answer.status_code for answer in answers] == [202, 422, 401, 400]
    printed = capfd.readouterr()
    texts = [printed.out, printed.err, caplog.text, *(f"{answer.headers}{answer.text}" for answer in answers)]
    for token in (ADA, wrong):
        assert not [words for words in texts if token in words]
        assert not [words for words in everything(connection) if token.encode() in words]


def everything(connection: redis.Redis) -> Iterator[bytes]:
    """Yield every key and every value in Redis."""
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
    """The server refuses the preflight request that a browser sends before a POST from another origin."""
    asked = web.options("/api/requests", headers={"origin": "https://a.space", "access-control-request-method": "POST"})
    assert asked.status_code == 400
