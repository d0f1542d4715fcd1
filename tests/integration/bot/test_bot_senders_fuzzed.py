"""Random bytes cause no error of the server, and the Hub's next delivery is stored."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bot.core.settings import BotSettings
from steward.testing.board import SECRET
from tests.support.board.socket_clients import BODY, answers, connect, deliver, head, serving

token = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=12)
value = st.binary(max_size=40) | st.sampled_from([b"chunked", b"gzip", b"0", b"-1", b"9" * 30, b"1e3", b"close"])
known = st.sampled_from(
    [
        b"X-Webhook-Secret: " + SECRET.encode(),
        b"X-Webhook-Secret: \xff\xfe",
        b"Webhook-Id: \xe9\xff",
        b"Webhook-Id: " + b"w" * 5_000,
        b"Content-Length: 5",
        b"Content-Length: 999999999999999999999",
        b"Content-Length: -5",
        b"Transfer-Encoding: chunked",
        b"Content-Encoding: gzip",
        b"Content-Type: application/json; charset=utf-32",
        b"Expect: 100-continue",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Upgrade: h2c",
        b"Host: [::1",
        b"Host: x\x00y",
        b'Forwarded: for="',
        b"X-Forwarded-For: \xff, ,",
        b"X-Forwarded-Proto: gopher",
    ]
)

strange = st.tuples(token, value).map(lambda pair: pair[0].encode() + b": " + pair[1])
request_lines = st.sampled_from(
    [b"POST /webhooks/hub HTTP/1.1"] * 6
    + [
        b"POST /webhooks/hub/ HTTP/1.1",
        b"POST /webhooks/hub?\xff#% HTTP/1.1",
        b"POST /webhooks%2Fhub HTTP/1.0",
        b"POST //x/%ff%00/../hub HTTP/1.1",
        b"CONNECT /webhooks/hub HTTP/1.1",
        b"CONNECT x:80 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"PUT http://[/webhooks/hub HTTP/1.1",
        b"GET /healthz HTTP/1.1",
        b"POST /webhooks/hub HTTP/9.9",
        b"PRI * HTTP/2.0",
    ]
)
heads = st.builds(
    lambda line, headers: b"\r\n".join([line, *headers, b"", b""]),
    request_lines,
    st.lists(known | strange, max_size=8),
)
bodies = st.binary(max_size=200) | st.sampled_from(
    [b"5\r\n[1,2]\r\n0\r\n\r\n", b"ffffffffffffffffff\r\n", b"0\r\nA: b\r\n\r\n"]
)
harmless = st.sampled_from(
    [
        "Webhook-Id: \xe9\xff",
        "Webhook-Id: " + "w" * 5_000,
        "Webhook-Id:",
        "X-Webhook-Secret: " + SECRET,
        "Content-Encoding: gzip",
        "Content-Type: application/json; charset=utf-32",
        "Expect: 100-continue",
        "Connection: close",
        'Forwarded: for="',
        "X-Forwarded-For: \xff, ,",
        "X-Forwarded-Proto: gopher",
        "Host: [::1",
    ]
)
texts = st.sampled_from(["utf-8", "utf-16", "utf-32", "cp037", "zlib"]).map(
    lambda name: zlib.compress(BODY) if name == "zlib" else BODY.decode().encode(name)
)
deliveries = st.builds(
    lambda lines, body: head(*lines, length=len(body)) + body,
    st.lists(harmless, max_size=3),
    texts | st.binary(max_size=300),
)
chunked = st.lists(st.binary(min_size=1, max_size=50), max_size=4).map(
    lambda chunks: (
        head("Transfer-Encoding: chunked")
        + b"".join(b"%x;a=b\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
        + b"0\r\nA: b\r\n\r\n"
    )
)
wild = st.tuples(heads, bodies).map(b"".join) | st.binary(max_size=300)
streams = st.lists(st.one_of(deliveries, chunked, deliveries, chunked, wild), min_size=1, max_size=3)


@hypothesis_settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_bytes_lead_to_an_error_of_ours(fuzzed: int, data: st.DataObject) -> None:
    """Good, malformed and truncated requests, sent in pieces, get no 5xx, and the next delivery is stored."""
    stream = b"".join(data.draw(streams, "stream"))
    cut = data.draw(st.just(len(stream)) | st.integers(0, len(stream)), "cut")
    with connect(fuzzed) as stranger:
        try:
            stranger.sendall(stream[:cut])
            stranger.sendall(stream[cut:])
            stranger.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # closed upon the first piece
        answer = answers(stranger)
    for line in answer.split(b"\r\n"):
        assert not line.startswith(b"HTTP/1.1 5"), answer
    assert deliver(fuzzed, "next") == 202


@pytest.fixture
def fuzzed(settings: BotSettings) -> Iterator[int]:
    """The port of one server for all examples of a test."""
    with serving(settings, connections=100) as port:
        yield port
