"""The HTTP API for workers without Redis: an attempt's token gives access to that attempt and to nothing else."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from bot.core.attempt_tokens import AttemptGrant, AttemptTokens
from bot.core.settings import BotSettings
from leaderboard.attempts import Outcome, attempt_id
from leaderboard.suites import find_suite
from redis_state import jobs
from redis_state.accepted_digests import AcceptedDigests, RefusedTasks
from redis_state.attempts import MAX_LOG, AttemptProgress, Attempts
from redis_state.canaries import Canaries, CanaryVerdict
from redis_state.keys import Keys
from steward.valkey import Valkey
from tests.support.board.board_file import BOARD as BOARD_FILE
from tests.support.board.board_file import OLD_SECRET, SECRET
from tests.support.board.running_board import client_of
from workers.errors import BoardUnreachable
from workers.jobs.https_link import AttemptTokenRefused, HttpsLink, JobGone

BOARD = "demo"
PATH = "ada/good_eval_request_False_bfloat16_Original.json"
REVISION = "a" * 40
ATTEMPT = attempt_id(BOARD, PATH, REVISION, 1)
OTHER = attempt_id(BOARD, "bob/other_eval_request_False_bfloat16_Original.json", REVISION, 1)
KEYS = Keys(BOARD)
WORKER = "machine-1-abc"
BACKENDS = "backends: {large: {kind: jobs, namespace: board, flavor: a100-large, image: steward}}\n"


def token(attempt: str = ATTEMPT, *, seconds: float = 60, secret: str = SECRET) -> str:
    """A token that the bot issued for `attempt`."""
    grant = AttemptGrant(attempt=attempt, path=PATH, expires=time.time() + seconds, seconds=3600)
    return AttemptTokens(BOARD, [secret]).issue(grant)


@pytest.fixture(scope="module")
def settings(lasting_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> BotSettings:
    """The settings of one web server for all tests of this file."""
    board = tmp_path_factory.mktemp("attempt-calls") / "board.yaml"
    board.write_text(f"{BOARD_FILE}\n{BACKENDS}")
    secrets: dict[str, Any] = {"webhook_secret": SECRET, "old_webhook_secret": OLD_SECRET}
    return BotSettings(redis_url=lasting_valkey.url, board=board, max_delivery_bytes=800_000, port=0, **secrets)


@pytest.fixture(scope="module")
def web(settings: BotSettings) -> Iterator[httpx2.Client]:
    """A client of that server."""
    with client_of(settings) as client:
        yield client


@pytest.fixture
def connection(lasting_redis: redis.Redis) -> redis.Redis:
    """A client of that server's Redis, emptied."""
    lasting_redis.flushall()
    return lasting_redis


@pytest.fixture
def link(web: httpx2.Client) -> HttpsLink:
    """A worker's HTTP client for its attempt."""
    return HttpsLink(str(web.base_url), ATTEMPT, token(), worker=WORKER)


@pytest.fixture
def attempts(connection: redis.Redis) -> Attempts:
    """The bot's own access to attempts, through Redis."""
    return Attempts(connection, KEYS)


def job(attempt: str = ATTEMPT) -> jobs.EvaluationJob:
    """The job of an attempt."""
    return jobs.EvaluationJob(
        board=BOARD, attempt=attempt, path=PATH, model="ada/good", revision=REVISION, precision="bfloat16",
        weight_type="Original", suite="starter", suite_digest="d" * 64,
    )  # fmt: skip


def outcome(attempt: str = ATTEMPT) -> Outcome:
    """An outcome of an attempt."""
    return Outcome(
        attempt=attempt, path=PATH, revision=REVISION, suite="starter", suite_digest="d" * 64, started=1, ended=2,
        phase="evaluate",
    )  # fmt: skip


def test_a_board_without_backends_accepts_no_attempts_token(settings: BotSettings, tmp_path: Path) -> None:
    """A board without worker backends answers 404 even to a token that is signed with the webhooks' secret."""
    board = tmp_path / "board.yaml"
    board.write_text(BOARD_FILE)
    with client_of(settings.model_copy(update={"board": board})) as client:
        headers = {"authorization": f"Bearer {token()}"}
        assert client.post(f"/api/attempts/{ATTEMPT}/state", json={"worker": "w"}, headers=headers).status_code == 404


def test_an_attempt_goes_from_its_job_to_its_outcome(
    link: HttpsLink, attempts: Attempts, connection: redis.Redis, settings: BotSettings
) -> None:
    """From the job to the outcome, each call over HTTP has the same effect as through Redis, at the bot's time."""
    jobs.enqueue(connection, KEYS.queue("large"), job(), timeout=60)
    jobs.enqueue(connection, KEYS.queue("large"), job(OTHER), timeout=60)
    taken = link.take_job()
    assert taken.job == job()
    assert taken.board == settings.board.read_text()
    assert jobs.queued_attempts(connection, [KEYS.queue("large")]) == {OTHER: KEYS.queue("large")}
    with pytest.raises(JobGone):
        link.take_job()

    calls = link.attempts()
    assert calls.take(ATTEMPT, "another/path", "another", now=0.0)
    assert _marked(connection) == {f"request:{PATH}"}
    state = attempts.read(ATTEMPT)
    assert state is not None
    assert (state.state, state.worker, state.path) == ("taken", WORKER, PATH)
    assert abs(state.beat - time.time()) < 30
    assert calls.wait_for_claim(ATTEMPT, seconds=0, worker=WORKER) is None
    assert attempts.answer_claim(ATTEMPT, granted=True)
    assert calls.wait_for_claim(ATTEMPT, seconds=0, worker=WORKER) is True
    assert calls.beat(ATTEMPT, AttemptProgress("evaluate", 3, 9, 2), now=0.0, worker="x", path="x")
    state = calls.read(ATTEMPT)
    assert state == attempts.read(ATTEMPT)
    assert state is not None
    assert (state.state, state.progress) == ("running", AttemptProgress("evaluate", 3, 9, 2))
    attempts.cancel(ATTEMPT)
    assert not calls.beat(ATTEMPT, AttemptProgress("evaluate", 4, 9), now=0.0, worker="x", path="x")
    assert calls.end(outcome(), "\x01\u00e9" * MAX_LOG + "the end", worker="x")
    ended = attempts.outcome(ATTEMPT)
    assert ended is not None
    assert ended[0] == outcome()
    assert ended[1].endswith("\u00e9the end")


def test_a_refused_claim_ends_the_attempt_and_a_stopped_worker_hands_it_back(
    link: HttpsLink, attempts: Attempts, connection: redis.Redis
) -> None:
    """A worker learns over HTTP that its claim was refused; it can drop an attempt, and hand one back."""
    calls = link.attempts()
    calls.take(ATTEMPT, PATH, WORKER, now=0.0)
    attempts.answer_claim(ATTEMPT, granted=False)
    assert calls.wait_for_claim(ATTEMPT, seconds=0, worker=WORKER) is False
    calls.drop(ATTEMPT)
    assert attempts.alive(now=time.time()) == set()
    calls.take(ATTEMPT, PATH, WORKER, now=0.0)
    assert calls.hand_back(ATTEMPT, worker=WORKER)
    state = attempts.read(ATTEMPT)
    assert state is not None
    assert state.state == "handed-back"
    assert _marked(connection) == {f"request:{PATH}"}


def test_a_second_worker_cannot_change_an_attempt_that_another_one_holds(
    web: httpx2.Client, link: HttpsLink, attempts: Attempts, connection: redis.Redis
) -> None:
    """A second worker can neither take nor claim, keep alive, end or hand back an attempt that another worker holds."""
    second = HttpsLink(str(web.base_url), ATTEMPT, token(), worker="second").attempts()
    assert link.attempts().take(ATTEMPT, PATH, WORKER, now=0.0)
    attempts.answer_claim(ATTEMPT, granted=True)
    assert not second.take(ATTEMPT, PATH, "second", now=0.0)
    assert second.wait_for_claim(ATTEMPT, seconds=0, worker="second") is None
    assert not second.beat(ATTEMPT, AttemptProgress("evaluate"), now=0.0, worker="second", path=PATH)
    assert not second.end(outcome(), "", worker="second")
    assert not second.hand_back(ATTEMPT, worker="second")
    state = attempts.read(ATTEMPT)
    assert state is not None
    assert state.worker == WORKER


def test_tasks_that_differ_and_canaries_are_told(link: HttpsLink, connection: redis.Redis) -> None:
    """Over the HTTP API a worker reports tasks that it refused, and takes, releases and reports canary runs."""
    assert link.accepted_digests("any").read().fingerprints == frozenset()
    refused = RefusedTasks(worker=WORKER, fingerprint="0" * 16 + "-" + "1" * 16, differences=("x",), at=1.0)
    link.accepted_digests("any").refuse(refused)
    suite = find_suite("starter").digest
    (stored,) = AcceptedDigests(connection, KEYS, suite).waiting()
    assert (stored.attempt, stored.differences) == (ATTEMPT, ("x",))
    assert stored.at == pytest.approx(time.time(), abs=60)
    canaries, canary = Canaries(connection, KEYS, "starter"), link.canaries("any")
    assert canary.take(WORKER) is None
    canaries.ask("load-failed")
    assert canary.take(WORKER) == "load-failed"
    canary.release(WORKER)
    assert canary.take(WORKER) == "load-failed"
    verdict = CanaryVerdict(cause="load-failed", died_of="", worker=WORKER)
    canary.report(WORKER, verdict)
    assert canaries.verdict() == verdict
    assert _marked(connection) == {canaries.key}


def test_a_token_gives_no_access_to_another_workers_canary_run(
    web: httpx2.Client, link: HttpsLink, connection: redis.Redis
) -> None:
    """A caller that uses another worker's name cannot report or release its canary run: the names are public."""
    canaries = Canaries(connection, KEYS, "starter")
    canaries.ask("load-failed")
    assert canaries.take(WORKER) == "load-failed"
    canary = link.canaries("any")
    assert canary.take(WORKER) is None
    canary.report(WORKER, CanaryVerdict(cause="load-failed", died_of="load-failed", worker=WORKER))
    canary.release(WORKER)
    assert canaries.verdict() is None and canaries.take("other") is None
    assert _marked(connection) == set()


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "x",
        "steward-attempt-1..",
        token()[:-1] + "x",
        token(OTHER),
        token(seconds=-1),
        token(secret="guessed"),
        AttemptTokens("other-board", [SECRET]).issue(
            AttemptGrant(attempt=ATTEMPT, path=PATH, expires=9e9, seconds=3600)
        ),
        token().replace(".", ".A", 1),
        "é" * 50,
        "a" * 10_000,
    ],
)
def test_only_the_token_of_the_attempt_opens_it(web: httpx2.Client, connection: redis.Redis, wrong: str) -> None:
    """The API answers 401 to a forged or expired token, or one of another attempt or board, and stores nothing."""
    headers = {"authorization": f"Bearer {wrong}".rstrip().encode()}
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


def test_a_heartbeat_may_leave_out_the_count_of_replayed_answers(web: httpx2.Client, attempts: Attempts) -> None:
    """The API accepts a heartbeat without a count of replayed answers, and stores zero for it."""
    body = {"worker": WORKER, "phase": "evaluate", "done": 1, "total": 2}
    headers = {"authorization": f"Bearer {token()}"}
    answer = web.post(f"/api/attempts/{ATTEMPT}/beat", headers=headers, json=body)
    assert answer.json() == {"answer": True}
    state = attempts.read(ATTEMPT)
    assert state is not None and state.progress == AttemptProgress("evaluate", 1, 2, 0)


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


def _marked(connection: redis.Redis) -> set[str]:
    return {key.decode() for key in connection.zrange(KEYS.dirty, 0, -1)}


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
