"""The pages of a board on which every text that users choose is hostile, over HTTP, with a real queue server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import httpx2
import pytest
import redis
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from leaderboard.attempts import Failure
from leaderboard.holds import Hold
from redis_state import clock
from redis_state.board.index import Index
from redis_state.board.scoreboard import Scoreboard
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from redis_state.keys import Keys
from steward.valkey import Valkey
from tests.support.board.page_client import PAGES, Client, Reader, page, serving
from tests.support.board.seeded_board import entry, flag, put_flags, score

HOSTILE = "\"'><img src=x onerror=alert(1)><script>alert(1)</script>{{7*7}}"
KEYS = Keys("hostile")


@pytest.fixture(scope="module")
def hostile(
    lasting_valkey: Valkey, lasting_redis: redis.Redis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """A board on which every text that a user may choose is an attack."""
    index, scores, now = Index(lasting_redis, KEYS), Scoreboard(lasting_redis, KEYS), clock.now()
    bad = Failure(cause="odd", fault="unknown", message=HOSTILE, advice=HOSTILE)
    facts: dict[str, Any] = {
        "submitter": HOSTILE,
        "licence": HOSTILE,
        "category": HOSTILE,
        "architecture": HOSTILE,
        "base_model": HOSTILE,
        "revision": HOSTILE,
        "failure": bad,
        "log": "javascript:alert(1)",
        "results": HOSTILE,
        "causes": (f"{'a' * 12}-deadbeef-1:{HOSTILE}", f"report:{HOSTILE}"),
    }
    failed, finished = f"{HOSTILE}/failed.json", f"{HOSTILE}/done.json"
    index.put(entry(HOSTILE, "settled", "FAILED", path=failed, sha=None, **facts))
    index.put(entry(HOSTILE, "settled", "FINISHED", path=finished, number=1, **facts))
    score(scores, index.get(finished), 50.0, "chat")
    held = entry(HOSTILE, "waiting", "PENDING", path=f"{HOSTILE}/held.json", attempt="x", number=2)
    index.put(held.model_copy(update={"hold": Hold(reason=HOSTILE, by=HOSTILE)}))
    index.put(entry(HOSTILE, "running", "RUNNING", path=f"{HOSTILE}/runs.json", attempt="y", number=3))
    put_flags(lasting_redis, KEYS, flag(HOSTILE, reason=HOSTILE, thread="javascript:alert(1)", also=(HOSTILE + "2",)))
    card = WorkerCard(name=HOSTILE, tiers=("small",), devices=HOSTILE, versions={HOSTILE: HOSTILE}, since=now, beat=now)
    WorkerRegistry(lasting_redis, KEYS).announce(card)
    yield from serving(lasting_valkey, tmp_path_factory.mktemp("hostile"), KEYS.board)


def hostile_pages() -> tuple[str, ...]:
    """Return the address of every page that shows text of users."""
    name = quote(HOSTILE)
    ones = (f"/requests/{name}/{what}.json" for what in ("failed", "done", "held", "runs"))
    searches = (f"/requests?q={name}", f"/?q={name}", f"/?q={name}:{name}", f"/?sort={name}")
    return (*PAGES, "/requests?state=failed", f"/models/{name}", *ones, *searches)


@pytest.mark.parametrize("path", [*hostile_pages(), "/requests/none", "/models/none"])
def test_hostile_text_neither_runs_nor_loads_anything(hostile: Client, path: str) -> None:
    """No hostile text loads a foreign image or script, becomes an event handler or style, or is run as a template."""
    text = hostile.get(path).text.replace(str(hostile.base_url).rstrip("/"), "")  # its port is any number
    tags = Reader(text).tags
    assert all(
        attributes.get("src", "").startswith(("/static/", "/badges/"))
        for tag, attributes in tags
        if tag in ("img", "script")
    )  # type: ignore[union-attr]
    for tag, attributes in tags:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        assert not (attributes.get("href") or "").lower().startswith(("javascript:", "data:", "//"))
    assert "49" not in text or "{{7*7}}" in text


def test_hostile_words_are_there_all_the_same(hostile: Client) -> None:
    """Pages show hostile text in escaped form, and do not leave it out."""
    for path in ("/queue", "/flags", "/workers", "/?flagged=1"):
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page(hostile, path)


def test_that_a_newer_evaluation_failed_is_told_beside_the_result_that_stays(hostile: Client) -> None:
    """Page and lists say that a newer evaluation failed, and not that the finished request itself did."""
    *_, finished, _, _ = (path for path in hostile_pages() if path.startswith("/requests/"))
    assert "Why its newer evaluation failed" in page(hostile, finished)
    assert "A newer evaluation failed: " in page(hostile, "/requests")
    assert "Why it failed" in page(hostile, finished.replace("done", "failed"))
    failures = {request["state"]: request["failed"] for request in hostile.get("/api/requests").json()["requests"]}
    assert failures == {"failed": True, "finished": True, "waiting": False, "running": False}


WORDS = st.one_of(
    st.text(max_size=60),
    st.integers(-(10**40), 10**40).map(str),
    st.sampled_from(
        ["", "0", "-1", "²", "1e9", "running", "Average: >=", "a:b;c", ";;;", "\x00", HOSTILE, "a" * 1_500]
    ),
)
NAMES = st.sampled_from(
    [
        "q",
        "state",
        "page",
        "sort",
        "rising",
        "flagged",
        "category",
        "precision",
        "type",
        "smallest",
        "largest",
        "column",
        "pin",
        "per",
        "after",
        "held_after",
        "cursor",
        "limit",
    ]
)
TARGETS = st.one_of(
    st.sampled_from(
        [
            *PAGES,
            "/results",
            "/leaderboard.csv",
            "/api/leaderboard",
            "/api/suggestions",
            "/api/results",
            "/api/search",
            "/api/flags",
            "/api/workers",
            "/api/times",
        ]
    ),
    st.tuples(
        st.sampled_from(["/requests/", "/models/", "/static/", "/api/history/", "/api/models/"]), st.text(max_size=50)
    ).map("".join),
)


@hypothesis_settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(TARGETS, st.lists(st.tuples(NAMES, WORDS), max_size=4))
@example("/queue", [("after", "9" * 11)])
@example("/", [("page", "99999999999"), ("sort", "Navigation")])
@example("/", [("page", "٣"), ("smallest", "٣"), ("largest", "1.2.3")])
@example("/models/\ud800", [])
def test_no_question_breaks_a_page(hostile: Client, path: str, params: list[tuple[str, str]]) -> None:
    """No path and no query string leads to a server error or to an answer of 100 kB or more."""
    query = urlencode([(name, word.encode("utf-8", "replace")) for name, word in params])
    target = f"{quote(path.encode('utf-8', 'replace'))}?{query}"
    answer = hostile.get(httpx2.URL(hostile.base_url, raw_path=target.encode()))
    assert answer.status_code < 500, answer.text
    assert len(answer.content) < 100_000
