"""Fuzzed calls of the web server: no server error, one form of errors, and no long answer to them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest
import redis
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from steward.valkey import Valkey
from tests.support.board.fuzzed_server import HOSTILE, fuzzed

FUZZ = hypothesis_settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def asked(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A client of the web server that all tests of this module share."""
    with fuzzed(valkey, tmp_path_factory.mktemp("fuzz")) as client:
        yield client


NAMES = st.sampled_from(
    [
        "status",
        "model",
        "submitter",
        "cursor",
        "limit",
        "after",
        "held_after",
        "precision",
        "revision",
        "weight_type",
        "state",
        "code",
        "before",
        "x",
    ]
)
WORDS = st.one_of(
    st.text(max_size=40),
    st.binary(max_size=20),
    st.integers(-(10**30), 10**30).map(str),
    st.sampled_from(["PENDING", "FAILED", "", "0", "1", "500", "NaN", "-1", "1e5", "ada/m1", "\x00", "%", HOSTILE]),
    st.text("ABCDEFabcdef0123456789-_=", max_size=60),
)
PATHS = st.one_of(
    st.sampled_from(
        ["/api/requests", "/api/queue", "/api/check", "/api/requests/", "/api", "/openapi.json", "/healthz"]
    ),
    st.text(max_size=60).map(lambda word: f"/api/requests/{word}"),
    st.text(max_size=60).map(lambda word: f"/{word}"),
    st.sampled_from(["/signin/callback", "/maintain/parked", "/maintain/inbox/x", "/api/maintain/inbox", "/api/me"]),
    st.sampled_from(["/api/requests/ada/m1_eval_request_False_float16_Original.json", "/api/requests/../../x"]),
)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["if-none-match", "accept", "origin", "range", "x-forwarded-for", "content-type", "if-modified-since", "cookie"]
    ),
    st.one_of(
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=200).map(str.strip),
        st.just("*"),
        st.just('W/"x'),
        st.just(f"steward-session={'x' * 43}; steward-signin={'x' * 43}.Lw"),
    ),
    max_size=3,
)


def check(answer: httpx2.Response) -> None:
    """Check that an answer is no server error, has its content type, and is short and of one form if it is an error."""
    assert answer.status_code < 500, answer.text
    if answer.status_code == 304:
        assert answer.content == b""
        return
    if answer.headers["content-type"].startswith("text/html"):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        return
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    body = json.loads(answer.content)
    if answer.status_code >= 400:
        assert body.keys() == {"code", "message", "advice"}
        assert len(answer.content) < 3_000


@FUZZ
@given(PATHS, st.lists(st.tuples(NAMES, WORDS), max_size=5), HEADERS)
@example("/api/requests", [("cursor", "MWUzMDAgeA")], {})
@example("/api/requests", [("limit", "500"), ("limit", "x")], {})
@example("/api/queue", [("after", "9" * 5_000)], {})
@example("/api/requests", [], {"if-none-match": "*"})
@example("/signin/callback", [("state", "x"), ("code", "x")], {"cookie": f"steward-signin={'x' * 43}.Lw"})
@example("/api/me", [], {"cookie": f"steward-session={'x' * 43}"})
def test_no_question_is_answered_with_an_error_of_ours(
    asked: httpx2.Client, path: str, params: list[tuple[str, str | bytes]], headers: dict[str, str]
) -> None:
    """No path, query string or header leads to a server error."""
    query = httpx2.QueryParams()
    for name, word in params:
        query = query.add(name, word.decode("latin-1") if isinstance(word, bytes) else word)
    check(asked.get(httpx2.URL(asked.base_url, raw_path=raw(path, str(query))), headers=headers))


@FUZZ
@given(st.binary(max_size=120).filter(lambda raw: not set(raw) & set(b" \r\n\t#")))
@example(b"/api/requests?status=%ff%fe&limit=%zz")
@example(b"/api/requests/%00")
@example(b"/api/requests/%ed%a0%80_eval_request_.json")
@example(b"/api/check?model=%ed%a0%80")
@example(b"/api/queue?&&&=&after")
def test_no_bytes_in_an_address_are_answered_with_an_error_of_ours(asked: httpx2.Client, target: bytes) -> None:
    """No raw bytes in the address, which HTTP clients would have quoted, lead to a server error."""
    import socket

    host, port = asked.base_url.host, asked.base_url.port
    line = b"GET /" + target.lstrip(b"/") + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    with socket.create_connection((host, port or 80), timeout=30) as stream:
        stream.sendall(line)
        first = stream.makefile("rb").readline()
    assert first.startswith(b"HTTP/1.1 ")
    assert int(first.split()[1]) < 500, (target, first)


@FUZZ
@example("HEAD", "/openapi.json", b"")
@given(st.sampled_from(["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]), PATHS, st.binary(max_size=50))
def test_other_methods_change_nothing_and_are_refused(
    asked: httpx2.Client, valkey: Valkey, method: str, path: str, body: bytes
) -> None:
    """Methods other than GET, HEAD and OPTIONS are refused, with any body, and no method changes anything in Redis."""
    before = stored(valkey)
    answer = asked.request(method, httpx2.URL(asked.base_url, raw_path=raw(path, "")), content=body)
    assert answer.status_code < 500
    assert answer.status_code >= 400 or method in ("OPTIONS", "HEAD")
    after = stored(valkey)
    assert after.items() <= before.items()
    assert {key for key, (_, lasts) in before.items() if lasts} <= after.keys()


def stored(valkey: Valkey) -> dict[bytes, tuple[bytes | None, bool]]:
    """Every key in Redis with its serialised value, and whether the key never expires."""
    with redis.Redis.from_url(valkey.url) as connection:
        return {key: (connection.dump(key), connection.ttl(key) == -1) for key in connection.scan_iter()}


def raw(path: str, query: str) -> bytes:
    """The target of a request, quoted where it must be."""
    from urllib.parse import quote

    return (quote(path.encode("utf-8", "replace")) + (f"?{query}" if query else "")).encode()


def test_strangers_words_are_json_and_nothing_else(asked: httpx2.Client) -> None:
    """The API returns HTML in a reason unchanged, as JSON that no browser treats as a page."""
    answer = asked.get("/api/requests", params={"status": "FAILED"})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.json()["requests"][0]["failure"]["message"] == HOSTILE
