"""Webhook deliveries: stored before they are acknowledged, counted once, and harmless whatever they hold."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import httpx2
import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bot.core.settings import BotSettings, SettingsError
from redis_state.keys import Keys
from steward.testing.board import OLD_SECRET, SECRET

KEYS = Keys("demo")


def payload(**changes: Any) -> dict[str, Any]:
    """Return the body of a delivery about a commit on main of the requests repo."""
    return {
        "event": {"action": "update", "scope": "repo.content"},
        "repo": {"type": "dataset", "name": "board/requests", "id": "a" * 24, "private": False},
        "updatedRefs": [{"ref": "refs/heads/main", "oldSha": "a" * 40, "newSha": "b" * 40}],
        "webhook": {"id": "c" * 24, "version": 3},
        **changes,
    }


def post(web: httpx2.Client, body: object, *, secret: str | None = SECRET, delivery: str | None = None) -> int:
    """Send a delivery, and return the status of the answer."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    headers |= {"x-webhook-secret": secret} if secret is not None else {}
    headers |= {"webhook-id": delivery} if delivery is not None else {}
    return web.post("/webhooks/hub", content=content, headers=headers).status_code


def counts(connection: redis.Redis) -> dict[str, int]:
    """Return the number of deliveries by verdict."""
    return {name.decode(): int(n) for name, n in connection.hgetall(KEYS.inbox_counts).items()}


def test_a_delivery_is_stored_and_marks_the_repo(web: httpx2.Client, connection: redis.Redis) -> None:
    """A commit on main is acknowledged once its body is in Redis and the repo is marked dirty."""
    assert post(web, payload(), delivery="one") == 202
    assert connection.zrange(KEYS.dirty, 0, -1) == [b"requests"]
    ((_, fields),) = connection.xrange(KEYS.inbox)
    assert json.loads(fields[b"body"]) == payload()
    assert fields[b"id"] == b"one"


@pytest.mark.parametrize(("delivery", "marks"), [("one", b"1"), (None, b"5")])
def test_the_same_delivery_five_times_counts_once(
    web: httpx2.Client, connection: redis.Redis, delivery: str | None, marks: bytes
) -> None:
    """Repeats are acknowledged and not stored; without an id a repeat marks its key again, because it may be news."""
    for _ in range(5):
        assert post(web, payload(), delivery=delivery) == 202
    assert connection.xlen(KEYS.inbox) == 1
    assert counts(connection) == {"requests": 1, "repeated": 4}
    assert connection.hgetall(KEYS.dirty_generations) == {b"requests": marks}
    assert connection.zcard(KEYS.dirty) == 1


@pytest.mark.parametrize(("secret", "status"), [(None, 401), ("wrong", 403), ("", 403), (SECRET + "x", 403)])
def test_who_does_not_know_the_secret_leaves_no_trace(
    web: httpx2.Client, connection: redis.Redis, secret: str | None, status: int
) -> None:
    """Without the right secret the server answers 401 or 403, and stores, counts and marks nothing."""
    assert post(web, payload(), secret=secret) == status
    assert connection.dbsize() == 0


def test_two_secrets_are_good_while_they_are_rotated(web: httpx2.Client) -> None:
    """The old secret is accepted beside the new one."""
    assert post(web, payload(), secret=OLD_SECRET, delivery="a") == 202
    assert post(web, payload(), secret=SECRET, delivery="b") == 202


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        (b"", "not-json"),
        (b"{", "not-json"),
        (b"\xff\xfe", "not-json"),
        (b"[" * 50_000, "not-json"),
        ([], "unknown"),
        ({"event": 7}, "unknown"),
        (payload(event={"scope": "repo.dream", "action": "invent"}), "irrelevant"),
        (payload(repo={"type": "bucket", "name": "board/requests"}), "irrelevant"),
        (payload(repo={"type": "dataset", "name": "somebody/else"}), "irrelevant"),
        (payload(updatedRefs=[{"ref": "refs/convert/parquet"}]), "irrelevant"),
        (payload(updatedRefs=[{"ref": "refs/pr/3"}]), "thread"),
        (payload(updatedRefs="?"), "requests"),
        (payload(event={"scope": "repo.content.of.the.future"}), "requests"),
    ],
)
def test_whatever_it_holds_a_delivery_is_acknowledged_kept_and_counted(
    web: httpx2.Client, connection: redis.Redis, body: object, verdict: str
) -> None:
    """Malformed, unknown and irrelevant deliveries are answered 202, stored, and counted under a verdict."""
    assert post(web, body) == 202
    assert counts(connection) == {verdict: 1}
    assert connection.xlen(KEYS.inbox) == 1


def test_a_body_over_the_limit_is_cut_off_and_not_kept(web: httpx2.Client, connection: redis.Redis) -> None:
    """The server answers 413 to a body over the limit, and stores nothing."""
    assert post(web, b"x" * 100_001) == 413
    assert connection.dbsize() == 0


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=400), st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30))
def test_no_body_and_no_id_leads_to_an_error_of_ours(web: httpx2.Client, body: bytes, delivery: str) -> None:
    """Any bytes with any printable id are acknowledged."""
    assert post(web, body, delivery=delivery) == 202


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_other_methods_are_told_which_one_is_taken(web: httpx2.Client, method: str) -> None:
    """A browser that opens the webhook's address is told that it accepts POST only."""
    answer = web.request(method, "/webhooks/hub")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_a_sender_that_hangs_up_leaves_the_server_well(web: httpx2.Client) -> None:
    """A connection that breaks in the middle of a body stores nothing, and the server goes on."""
    address = (web.base_url.host, web.base_url.port or 80)
    with socket.create_connection(address) as cut:
        head = f"POST /webhooks/hub HTTP/1.1\r\nHost: x\r\nX-Webhook-Secret: {SECRET}\r\nContent-Length: 999\r\n\r\n{{"
        cut.sendall(head.encode())
    assert web.get("/healthz").json()["inbox"] == {}


def test_health_says_what_is_missing(web: httpx2.Client, connection: redis.Redis) -> None:
    """`/readyz` says when no sync process has reached the Hub.

    The page is public, so it names nothing that was asked of the Hub.
    """
    assert web.get("/healthz").status_code == 200
    before = web.get("/readyz")
    assert before.status_code == 503
    assert "steward sync" in before.json()["hub"]["error"]
    error = "Transient: The Hub answered 503 to GET /api/models/ada/secret: no reason given"
    connection.hset(KEYS.hub_state, mapping={"failed": 2e12, "error": error, "at": "2026"})
    hub = web.get("/readyz").json()["hub"]
    assert (hub["state"], hub["since"]) == ("does not answer", "2026")
    assert hub["error"].startswith("Transient: ")
    assert "secret" not in str(hub)
    connection.hset(KEYS.hub_state, "error", "BadToken: The Hub answered 401 to GET /api/whoami-v2: no reason given")
    refused = web.get("/readyz").json()["hub"]
    assert refused["state"] == "does not accept the bot's token"
    assert "STEWARD_BOT_TOKEN" in refused["error"]
    connection.hset(KEYS.hub_state, "answered", 3e12)
    assert web.get("/readyz").status_code == 200


def test_health_says_when_deliveries_cannot_be_stored(web: httpx2.Client, connection: redis.Redis) -> None:
    """While Redis refuses to write, deliveries and `/readyz` are answered 503; afterwards both succeed again."""
    connection.hset(KEYS.hub_state, "answered", 3e12)
    connection.config_set("maxmemory", 1)
    try:
        assert post(web, payload()) == 503
        ready = web.get("/readyz")
        assert ready.status_code == 503
        assert ready.json()["redis"] == "does not store deliveries (OutOfMemoryError)"
    finally:
        connection.config_set("maxmemory", 0)
    assert web.get("/readyz").status_code == 200
    assert post(web, payload()) == 202


def test_a_queue_server_that_is_silent_costs_the_sender_two_seconds(
    web: httpx2.Client, connection: redis.Redis
) -> None:
    """The sender gets a 503 within seconds, and its delivery is stored when the queue server answers again."""
    assert post(web, payload(), delivery="before") == 202
    connection.client_pause(60_000, all=False)
    try:
        began = time.monotonic()
        assert post(web, payload(), delivery="meanwhile") == 503
        assert 1 < time.monotonic() - began < 5
    finally:
        connection.client_unpause()
    assert post(web, payload(), delivery="meanwhile") == 202


def test_settings_that_are_missing_are_named(settings: BotSettings, tmp_path: Any) -> None:
    """A missing board file, token or secret is an error that names the setting."""
    with pytest.raises(SettingsError, match="STEWARD_BOT_TOKEN"):
        settings.token()
    without_board = settings.model_copy(update={"board": tmp_path / "gone.yaml"})
    with pytest.raises(SettingsError, match=r"gone\.yaml.*STEWARD_BOARD"):
        without_board.read_board()
    empty = tmp_path / "empty"
    empty.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        settings.model_copy(update={"bot_token_file": empty}).token()
