"""The HTTP API for workers refuses wrong tokens and malformed calls; a worker refuses answers of other servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
import redis

from bot.core.attempt_tokens import AttemptGrant, AttemptTokens
from bot.core.settings import BotSettings
from steward.testing.board import BOARD as BOARD_FILE
from steward.testing.board import OLD_SECRET, SECRET
from steward.testing.running import client_of
from tests.support.board.attempt_calls import (
    ATTEMPT,
    KEYS,
    OTHER,
    PATH,
    WORKER,
    attempt_settings,
    attempt_web,
    emptied_redis,
    outcome,
    token,
)
from workers.errors import BoardUnreachable
from workers.jobs.https_link import AttemptTokenRefused, HttpsLink

settings, web, connection = attempt_settings, attempt_web, emptied_redis


def test_a_board_without_backends_accepts_no_attempts_token(settings: BotSettings, tmp_path: Path) -> None:
    """A board without worker backends answers 404 even to a token that is signed with the webhooks' secret."""
    board = tmp_path / "board.yaml"
    board.write_text(BOARD_FILE)
    with client_of(settings.model_copy(update={"board": board})) as client:
        headers = {"authorization": f"Bearer {token()}"}
        assert client.post(f"/api/attempts/{ATTEMPT}/state", json={"worker": "w"}, headers=headers).status_code == 404


def _of_another_board() -> str:
    grant = AttemptGrant(attempt=ATTEMPT, path=PATH, expires=9e9, seconds=3600)
    return AttemptTokens("other-board", [SECRET]).issue(grant)


WRONG_TOKENS: dict[str, Callable[[], str]] = {
    "empty": lambda: "",
    "a letter": lambda: "x",
    "without parts": lambda: "steward-attempt-1..",
    "another signature": lambda: ".".join((*token().split(".")[:-1], token(OTHER).split(".")[-1])),
    "another attempt": lambda: token(OTHER),
    "expired": lambda: token(seconds=-1),
    "another secret": lambda: token(secret="guessed"),
    "another board": _of_another_board,
    "another content": lambda: token().replace(".", ".A", 1),
    "not ASCII": lambda: "é" * 50,
    "long": lambda: "a" * 10_000,
}
"""Functions that make a token when a test runs, so that only the expired one has expired."""


@pytest.mark.parametrize("wrong", WRONG_TOKENS.values(), ids=WRONG_TOKENS)
def test_only_the_token_of_the_attempt_opens_it(
    web: httpx2.Client, connection: redis.Redis, wrong: Callable[[], str]
) -> None:
    """The API answers 401 to a forged or expired token, or one of another attempt or board, and stores nothing."""
    headers = {"authorization": f"Bearer {wrong()}".rstrip().encode()}
    for call in ("job", "take", "beat", "end", "no-such"):
        answer = web.post(f"/api/attempts/{ATTEMPT}/{call}", headers=headers, json={"worker": "w"})
        assert answer.status_code == 401, answer.text
    assert connection.keys(KEYS.attempt("*")) == []


def test_a_token_holds_while_secrets_are_rotated(web: httpx2.Client) -> None:
    """The API accepts a token that was signed with the previous secret."""
    link = HttpsLink(str(web.base_url), ATTEMPT, token(secret=OLD_SECRET), worker=WORKER)
    assert link.attempts().read(ATTEMPT) is None


def test_a_worker_whose_token_ended_knows_it(web: httpx2.Client) -> None:
    """After one connection was refused for an expired token, the worker's link reports itself as refused."""
    link = HttpsLink(str(web.base_url), ATTEMPT, token(seconds=-1), worker=WORKER)
    with pytest.raises(AttemptTokenRefused):
        link.with_own_connection().attempts().take(ATTEMPT, PATH, WORKER, now=0.0)
    assert link.is_refused


@pytest.mark.parametrize(
    ("call", "body", "status"),
    [
        ("take", "", 422),
        ("take", "[]", 422),
        ("take", '{"worker": ""}', 422),
        ("take", '{"worker": "w", "path": "x"}', 422),
        ("take", '{"worker": "w", "' + "k" * 100_000 + '": 1}', 422),
        ("beat", '{"worker": "w", "phase": "evaluate", "done": -1, "total": 2}', 422),
        ("beat", '{"worker": "w", "phase": "evaluate", "done": 1, "total": 1e15}', 422),
        ("beat", '{"worker": "w", "phase": "evaluate", "done": 1, "total": 2, "replayed": 1e15}', 422),
        ("end", '{"worker": "w", "outcome": {}, "log": ""}', 422),
        ("end", f'{{"worker": "w", "outcome": {outcome(OTHER).model_dump_json()}, "log": ""}}', 422),
        ("refuse", '{"worker": "w", "refused": {"worker": "v", "fingerprint": "' + "0" * 16 + "-" + "0" * 16
         + '", "differences": [], "at": 1}}', 422),
        ("no-such", '{"worker": "w"}', 404),
        ("take", "x" * 790_000, 413),
    ],
)  # fmt: skip
def test_a_malformed_call_is_refused_with_the_reason(
    web: httpx2.Client, connection: redis.Redis, call: str, body: str, status: int
) -> None:
    """The API refuses a malformed call with an error code in a short answer, and stores nothing."""
    headers = {"authorization": f"Bearer {token()}"}
    answer = web.post(f"/api/attempts/{ATTEMPT}/{call}", headers=headers, content=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["code"] in ("bad-call", "no-such-call", "too-large")
    assert len(answer.content) < 2_000
    assert connection.keys(KEYS.attempt("*")) == []


class _Proxy:
    """A server that answers one connection after the other with the same bytes, and records what it receives."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self.received: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.received.append(connection.recv(65_536))
                connection.sendall(self._answer)

    def close(self) -> None:
        self._socket.close()


def _response(status: str, body: bytes, *headers: str) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers])
    return head.encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    "answer",
    [
        _response("200 OK", b"<html>The proxy is tired</html>"),
        _response("200 OK", b'{"other": 1}'),
        _response("200 OK", b"[" * 100_000),
        _response("502 Bad Gateway", b""),
        _response("307 Temporary Redirect", b"", "location: ELSEWHERE/stolen"),
        _response("200 OK", b" " * (5 << 20)),
        b"nonsense\r\n\r\n",
    ],
)
def test_an_answer_that_is_not_the_bots_means_that_it_is_away(answer: bytes) -> None:
    """A worker treats a proxy's page, a malformed answer, an error or a redirect, which it does not follow, as an
    unreachable bot."""
    elsewhere = _Proxy(_response("200 OK", b'{"answer": null}'))
    proxy = _Proxy(answer.replace(b"ELSEWHERE", elsewhere.url.encode()))
    try:
        assert HttpsLink(elsewhere.url, ATTEMPT, "none", worker=WORKER).attempts().read(ATTEMPT) is None
        with pytest.raises(BoardUnreachable):
            HttpsLink(proxy.url, ATTEMPT, token(), worker=WORKER).attempts().read(ATTEMPT)
        assert len(proxy.received) == len(elsewhere.received) == 1
    finally:
        proxy.close()
        elsewhere.close()
    with pytest.raises(BoardUnreachable, match="does not answer"):
        HttpsLink("http://127.0.0.1:1", ATTEMPT, token(), worker=WORKER).attempts().read(ATTEMPT)
