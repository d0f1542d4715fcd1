"""The API's answers have ETags, one shape of errors and documentation, and a long queue does not make them slow."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import httpx2
import pytest
import redis

from leaderboard.holds import Hold
from redis_state import clock
from redis_state.board.entry import IndexEntry
from redis_state.board.index import Index
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from tests.support.board.indexed_requests import entry, get, path_of
from tests.support.board.submissions import KEYS


@pytest.fixture
def index(connection: redis.Redis) -> Index:
    """The index of the board that the web server shows."""
    return Index(connection, KEYS)


def test_what_is_known_already_is_not_sent_again(web: httpx2.Client, index: Index) -> None:
    """A request with the ETag of an unchanged answer gets status 304; a changed answer has another ETag."""
    index.put(entry(1))
    for path in ("/api/requests", f"/api/requests/{path_of(1)}", "/api/queue"):
        tag = web.get(path).headers["etag"]
        again = web.get(path, headers={"if-none-match": f'"other", W/{tag}'})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        index.put(entry(1, hold=Hold(reason=path)), entry(2))
        if path == "/api/requests":
            assert web.get(path, headers={"if-none-match": tag}).status_code == 200
        index.put(entry(1))
        index.drop(path_of(2))


def test_errors_have_one_shape_and_say_what_to_do(web: httpx2.Client, index: Index) -> None:
    """Every error has a code, a message and advice, and does not repeat what the client wrote."""
    wrong = [
        ("/api/requests?limit=0", 422, "bad-query"),
        ("/api/requests?status=<script>", 422, "bad-query"),
        ("/api/requests?cursor=%00%ff", 422, "bad-cursor"),
        ("/api/queue?after=-1", 422, "bad-query"),
        ("/api/queue?after=99999999999999999999999", 422, "bad-query"),
        ("/api/nothing", 404, "not-found"),
        ("/api/requests/" + "x" * 1_001, 422, "bad-query"),
    ]
    for path, status, code in wrong:
        answer = web.get(path)
        assert (answer.status_code, answer.json()["code"]) == (status, code), path
        assert answer.json().keys() == {"code", "message", "advice"}
        assert answer.json()["advice"]
        assert "<script>" not in answer.text
    posted = web.post("/api/queue")
    assert (posted.status_code, posted.json()["code"], posted.headers["allow"]) == (405, "not-allowed", "GET")


def test_other_origins_may_read_and_nothing_else(web: httpx2.Client, index: Index) -> None:
    """A page of another origin may read the API, but not post to it, read `/healthz` or send webhooks."""
    origin = {"origin": "https://a.space"}
    assert web.get("/api/queue", headers=origin).headers["access-control-allow-origin"] == "*"
    assert "ETag" in web.get("/api/queue", headers=origin).headers["access-control-expose-headers"]
    for method, status in (("GET", 200), ("POST", 400), ("DELETE", 400)):
        asked = web.options("/api/queue", headers={**origin, "access-control-request-method": method})
        assert asked.status_code == status
    for path in ("/healthz", "/webhooks/hub"):
        assert "access-control-allow-origin" not in web.get(path, headers=origin).headers


def test_the_documentation_names_every_answer_and_loads_nothing_from_elsewhere(web: httpx2.Client) -> None:
    """OpenAPI has every status, the board's own errors and examples; `/docs` and `/redoc` do not exist."""
    described = web.get("/openapi.json").json()
    for path in ("/api/requests", "/api/requests/{path}", "/api/queue", "/api/check"):
        answers = described["paths"][path]["get"]["responses"]
        assert {"200", "304", "422", "503"} <= answers.keys()
        assert answers["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/ErrorResponse")
        name = answers["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert described["components"]["schemas"][name]["type"] == "object"
    assert described["components"]["schemas"]["RequestSummaryView"]["examples"]
    assert "HTTPValidationError" not in json.dumps(described)
    assert (web.get("/docs").status_code, web.get("/redoc").status_code) == (404, 404)


def test_the_document_names_every_address_and_every_error(web: httpx2.Client, project: Path) -> None:
    """`docs/api.md` has every address and every error code of the API."""
    document = (project / "docs/api.md").read_text("utf-8")
    described = web.get("/openapi.json").json()["paths"]
    spoken_of = [(path, method) for path in described if path.startswith("/api/") for method in described[path]]
    assert [route for route in spoken_of if f"`{route[1].upper()} {route[0]}" not in document] == []
    source = "".join(file.read_text("utf-8") for file in sorted((project / "bot/web").rglob("*.py")))
    in_source = set(re.findall(r'ErrorResponse\(\s*code="([a-z-]+)"', source))
    codes = in_source | {"not-found", "not-allowed", "no-request", "no-model"}
    assert {code for code in codes if f"`{code}`" not in document} == set()


@pytest.mark.long("two seconds of a processor")
def test_ten_thousand_waiting_requests_are_read_once(web: httpx2.Client, index: Index, connection: redis.Redis) -> None:
    """A queue of 10,000 that did not change, or got one more request, is served without reading all of it anew.

    `benchmarks.pages` measures how many milliseconds that takes.
    """
    for start in range(0, 10_000, 1_000):
        index.put(*(entry(number, org=f"org{number % 500}") for number in range(start, start + 1_000)))
    now = clock.now()
    WorkerRegistry(connection, KEYS).announce(
        WorkerCard(name="w", tiers=("small", "medium", "large"), since=now, beat=now)
    )
    assert get(web, "/api/queue")["counts"]["waiting"] == 10_000
    bodies = [entry(number, org="x").model_dump_json() for number in range(10_000)]
    began = time.process_time()
    for body in bodies:
        IndexEntry.model_validate_json(body)
    anew = time.process_time() - began
    quick, changed = list[float](), list[float]()
    for number in range(7):
        # Processor time of client and server together, so that other programs on this machine do not count.
        began = time.process_time()
        get(web, "/api/queue", after=5_000)
        quick.append(time.process_time() - began)
        index.put(entry(20_000 + number, org="late"))
        began = time.process_time()
        assert get(web, "/api/queue")["counts"]["waiting"] == 10_001 + number
        changed.append(time.process_time() - began)
    assert max(min(quick), min(changed)) < anew
