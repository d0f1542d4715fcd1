"""Slow, silent and oversized senders cause no error of the server, and it still stores the Hub's deliveries.

The server is the real one with small limits, reached over raw sockets.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
import redis

from bot.core.settings import BotSettings
from bot.intake import webhooks
from steward.testing.waiting import wait_until
from tests.support.board.socket_clients import (
    BODY,
    KEYS,
    LIMIT,
    PATIENCE,
    ROOM,
    answers,
    connect,
    deliver,
    head,
    is_closed,
    running,
    serving,
    status,
    stored,
)


@pytest.fixture
def port(settings: BotSettings) -> Iterator[int]:
    """The port of a server with a short time limit and few connections."""
    with serving(settings) as number:
        yield number


@pytest.mark.parametrize("begun", [b"", b"POST /webh", head()[:-2], head("Transfer-Encoding: chunked") + b"5\r\nab"])
def test_a_message_that_does_not_end_is_not_waited_for(port: int, connection: redis.Redis, begun: bytes) -> None:
    """If a message stops before or within its head or body, the server closes the connection and stores nothing."""
    began = time.monotonic()
    with connect(port) as slow:
        slow.sendall(begun)
        answer = answers(slow)
    assert PATIENCE * 0.9 < time.monotonic() - began < 5
    assert status(answer) in (0, 408)
    assert connection.dbsize() == 0
    assert deliver(port, "next") == 202


def test_single_bytes_do_not_extend_the_time_of_a_message(port: int, connection: redis.Redis) -> None:
    """The server closes the connection of a sender that sends a byte now and then."""
    began = time.monotonic()
    with connect(port) as slow:
        slow.sendall(head(length=1_000))
        slow.settimeout(0.02)
        with pytest.raises((ConnectionError, EOFError)):
            while time.monotonic() - began < 5:
                slow.sendall(b"x")
                try:
                    if not slow.recv(1_000):
                        raise EOFError
                except TimeoutError:
                    continue
    assert connection.dbsize() == 0


def test_the_time_limit_of_a_sender_does_not_include_storing(settings: BotSettings, connection: redis.Redis) -> None:
    """The server answers a complete delivery with 202, even if storing takes longer than the sender's time limit."""
    with serving(settings, seconds=0.2) as port:
        connection.client_pause(800, all=False)
        began = time.monotonic()
        assert deliver(port, "late") == 202
        assert time.monotonic() - began > 0.5


def test_a_connection_that_is_kept_open_serves_many_deliveries(port: int, connection: redis.Redis) -> None:
    """The server's time limit holds for each message, not for a connection that carries many."""
    began = time.monotonic()
    with connect(port) as hub:
        for number in range(8):
            hub.sendall(head(f"Webhook-Id: {number}", length=len(BODY)) + BODY)
            assert status(stored(hub)) == 202
            while time.monotonic() - began < number * PATIENCE / 4:
                assert deliver(port, f"meanwhile-{number}") == 202
    assert connection.hget(KEYS.inbox_counts, "irrelevant") is not None
    assert time.monotonic() - began > PATIENCE


def test_pipelined_deliveries_are_answered_in_order(port: int) -> None:
    """The server stores deliveries that were sent together one after the other."""
    message = head("Webhook-Id: 1", length=len(BODY)) + BODY
    last = head("Webhook-Id: 1", "Connection: close", length=len(BODY)) + BODY
    with connect(port) as hub:
        hub.sendall(message + last)
        response = answers(hub)
    assert response.count(b"HTTP/1.1 202") == 2
    assert response.index(b"stored") < response.index(b"known")


def test_slow_senders_do_not_keep_deliveries_out(settings: BotSettings, connection: redis.Redis) -> None:
    """With ten times as many slow senders as allowed, the server stores deliveries and closes excess connections."""
    with serving(settings, seconds=60) as port:
        slow = [connect(port) for _ in range(ROOM * 10)]
        for number, stream in enumerate(slow):
            stream.sendall(head(length=1_000) if number % 2 else b"POST")
            if number % ROOM == 0:
                assert deliver(port, f"d{number}") == 202
        assert connection.xlen(KEYS.inbox) == 10
        assert wait_until(lambda: sum(map(is_closed, slow)) >= len(slow) - ROOM)
        for stream in slow:
            stream.close()


def unread(port: int) -> socket.socket:
    """Return a connection on which many requests were sent and no answer is read."""
    greedy = socket.socket()
    greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    greedy.settimeout(30)
    greedy.connect(("127.0.0.1", port))
    greedy.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 400)
    return greedy


def test_who_reads_nothing_of_the_answers_is_let_go(
    settings: BotSettings,
    connection: redis.Redis,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """After a while the server closes the connection of a client that reads no answers, without a traceback."""
    with running(settings, seconds=0.2) as (server, port), unread(port):
        assert wait_until(lambda: server.server_state.total_requests)
        assert wait_until(lambda: not server.server_state.connections)
    assert "Traceback" not in capfd.readouterr().err


def test_clients_that_read_no_answers_do_not_keep_deliveries_out(
    settings: BotSettings, connection: redis.Redis
) -> None:
    """With all connections taken by clients that read nothing, the server makes room and stores deliveries."""
    with serving(settings, seconds=60) as port, ExitStack() as opened:
        for _ in range(ROOM):
            opened.enter_context(unread(port))
        assert wait_until(lambda: comes_through(port))
        assert [deliver(port, f"d{number}") for number in range(3)] == [202] * 3


def comes_through(port: int) -> bool:
    """Return whether the server accepts a delivery."""
    try:
        return deliver(port, "first") == 202
    except ConnectionError:
        return False


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"POST /webhooks/hub HTTP/1.1\r\n", b"X-A: " + b"a" * 1_000 + b"\r\n"),
        (b"POST /webhooks/hub HTTP/1.1\r\nX-A: ", b"a" * 1_000),
        (b"GET /", b"a" * 1_000),
        (head("Transfer-Encoding: chunked") + b"0\r\n", b"X-A: " + b"a" * 1_000 + b"\r\n"),
        (
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"3e8\r\n" + b"a" * 1_000 + b"\r\n",
        ),
    ],
    ids=["headers", "one header", "address", "trailers", "a body that no handler reads"],
)
def test_a_message_without_end_is_cut_off(settings: BotSettings, begin: bytes, more: bytes) -> None:
    """The server cuts off endless headers, addresses, trailers and bodies."""
    with serving(settings, seconds=60) as port, connect(port) as endless:
        endless.sendall(begin)
        sent = 0
        try:
            while sent < 50_000_000:
                endless.sendall(more)
                sent += len(more)
        except ConnectionError:
            pass  # cut off: as it should be
        # The system's buffers hold bytes that count as sent, though the server has not read them.
        assert sent < 20_000_000
        assert status(answers(endless)) in (0, 200, 202, 413, 431)


def test_what_is_announced_too_large_is_refused_unread(port: int, connection: redis.Redis) -> None:
    """The server answers 413 to an announced length above the limit, before any byte of the body was sent."""
    with connect(port) as large:
        large.sendall(head(length=LIMIT + 1))
        answer = answers(large)
    assert status(answer) == 413
    assert str(LIMIT).encode() in answer
    assert connection.dbsize() == 0


def test_what_grows_too_large_is_cut_off_while_it_is_read(port: int, connection: redis.Redis) -> None:
    """The server counts a body without announced length as it arrives, and answers 413 above the limit."""
    with connect(port) as large:
        large.sendall(head("Transfer-Encoding: chunked") + b"%x\r\n" % (LIMIT + 1) + b"x" * (LIMIT + 1) + b"\r\n")
        assert status(answers(large)) == 413
    assert connection.dbsize() == 0


def chunked(body: bytes) -> bytes:
    """Return the body as one chunk."""
    return b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"


FAR_TOO_LARGE = b"x" * (50 * LIMIT)


@pytest.mark.parametrize(
    "message",
    [
        head("Transfer-Encoding: chunked") + chunked(FAR_TOO_LARGE),
        head(length=len(FAR_TOO_LARGE)) + FAR_TOO_LARGE,
        b"POST /api/requests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hf_abc\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunked(FAR_TOO_LARGE),
    ],
    ids=["chunked delivery", "announced delivery", "chunked submission"],
)
def test_a_sender_that_reads_last_reads_that_it_sent_too_much(
    port: int, connection: redis.Redis, message: bytes
) -> None:
    """A sender that sends a far too large body before it reads gets the 413, and no connection reset."""
    with connect(port) as large:
        large.sendall(message)
        assert status(large.recv(1_000)) == 413
        assert answers(large).count(b"HTTP/1.1") == 0
    assert connection.dbsize() == 0


@pytest.mark.parametrize(("secret", "expected"), [("", 401), ("wrong", 403)])
def test_who_does_not_know_the_secret_is_not_listened_to(port: int, secret: str, expected: int) -> None:
    """The server answers a missing or wrong secret before the body arrives, and closes the connection."""
    with connect(port) as stranger:
        stranger.sendall(head(secret=secret, length=LIMIT))
        assert status(answers(stranger)) == expected


def test_expect_100_continue_is_answered_only_with_the_right_secret(port: int) -> None:
    """The server answers 100 to a sender with the right secret, and 403 at once to one with a wrong secret."""
    with connect(port) as polite:
        polite.sendall(head("Expect: 100-continue", "Connection: close", length=len(BODY)))
        assert status(polite.recv(1_000)) == 100
        polite.sendall(BODY)
        assert status(answers(polite)) == 202
    with connect(port) as stranger:
        stranger.sendall(head("Expect: 100-continue", secret="wrong", length=len(BODY)))
        assert status(answers(stranger)) == 403


def test_half_read_bodies_are_bounded_all_together(
    settings: BotSettings, connection: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Above the limit for all half-read bodies the server answers 503, until other senders are gone."""
    monkeypatch.setattr(webhooks, "MAX_BYTES_IN_FLIGHT", 150_000)
    half = head(length=90_000) + b"x" * 80_000
    with serving(settings, seconds=60) as port:
        with connect(port) as first, connect(port) as second:
            first.sendall(half)
            assert deliver(port, "between") == 202
            second.sendall(half)
            assert {status(answers(second))} == {503}
            first.sendall(b"x" * 10_000)
            assert status(first.recv(1_000)) == 202
        assert wait_until(lambda: deliver(port, "after") == 202)
