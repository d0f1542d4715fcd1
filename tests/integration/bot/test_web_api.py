"""The API shows requests and the queue over HTTP, with a real queue server, and hides models that are not public."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
import redis

from bot.read_models.lists import MAX_SCANNED
from leaderboard.adoption import RECORD
from leaderboard.attempts import Failure
from leaderboard.holds import Hold
from redis_state import clock
from redis_state.attempts import AttemptProgress, Attempts
from redis_state.board.entry import IndexEntry
from redis_state.board.index import Index
from redis_state.heartbeats import WorkerCard, WorkerRegistry
from steward.testing.board import BoardDriver
from tests.support.board.indexed_requests import entry, get, path_of
from tests.support.board.submissions import KEYS

FAILURE = Failure(cause="disk-full", fault="us", message="The disk is full.", advice="Nothing to do for you.")


def ended(number: int, status: str, **standing: Any) -> IndexEntry:
    """A request that came to its end."""
    return entry(number, state="settled", attempt=None, standing={"status": status, **standing})


@pytest.fixture
def index(connection: redis.Redis) -> Index:
    """The index of the board that the web server shows."""
    return Index(connection, KEYS)


def models_in(page: Any) -> list[str]:
    """The models on a page of requests."""
    return [request["model"] for request in page["requests"]]


def test_requests_are_listed_newest_first_and_page_by_page(web: httpx2.Client, index: Index) -> None:
    """Every request comes once, for pages of any size, also with equal times."""
    index.put(*(ended(number, "FINISHED", time=1_700_000_000.0 + number // 3) for number in range(10)))
    listed, cursor = list[str](), ""
    for _ in range(10):
        page = get(web, "/api/requests", limit=3, **({"cursor": cursor} if cursor else {}))
        listed += [request["path"] for request in page["requests"]]
        times = [request["submitted"] for request in page["requests"]]
        assert times == sorted(times, reverse=True)
        if (cursor := page["next"]) is None:
            break
    assert sorted(listed) == sorted(path_of(number) for number in range(10))


def test_a_page_goes_on_though_what_it_ended_with_is_gone(web: httpx2.Client, index: Index) -> None:
    """If a page's last request is removed, the next page has the rest, each request once."""
    index.put(*(ended(number, "FINISHED") for number in range(6)))
    first = get(web, "/api/requests", limit=2)
    index.drop(first["requests"][-1]["path"])
    following = get(web, "/api/requests", limit=10, cursor=first["next"])
    assert models_in(following) == [f"ada/m{number}" for number in (3, 2, 1, 0)]


def test_filters_are_heeded_together_and_in_any_case_of_letters(web: httpx2.Client, index: Index) -> None:
    """Filters by status, submitter and model can be combined, ignore case, and follow a request's changes."""
    index.put(ended(1, "FAILED", failure=FAILURE), ended(2, "FINISHED"), entry(3), entry(4, org="bob"))
    assert models_in(get(web, "/api/requests", status="FAILED")) == ["ada/m1"]
    assert models_in(get(web, "/api/requests", submitter="ADA", status="PENDING")) == ["ada/m3"]
    assert models_in(get(web, "/api/requests", model="BOB/m4")) == ["bob/m4"]
    assert models_in(get(web, "/api/requests", model="bob/m4", status="FAILED")) == []
    index.put(ended(3, "FINISHED").model_copy(update={"submitter": "bob"}))
    assert models_in(get(web, "/api/requests", status="PENDING")) == ["bob/m4"]
    assert models_in(get(web, "/api/requests", submitter="ada")) == ["ada/m2", "ada/m1"]
    assert models_in(get(web, "/api/requests", submitter="bob")) == ["bob/m4", "ada/m3"]
    index.drop(path_of(3))
    assert models_in(get(web, "/api/requests", submitter="bob")) == ["bob/m4"]


def test_a_page_with_a_rare_filter_is_bounded_and_says_where_to_go_on(web: httpx2.Client, index: Index) -> None:
    """A call reads a limited number of requests; a match that is further behind is on the next page."""
    index.put(*(ended(number, "FINISHED") for number in range(MAX_SCANNED + 5)))
    index.put(ended(0, "FAILED"))
    page = get(web, "/api/requests", submitter="ada", status="FAILED", limit=5)
    assert (page["requests"], page["next"] is not None) == ([], True)
    page = get(web, "/api/requests", submitter="ada", status="FAILED", limit=5, cursor=page["next"])
    assert (models_in(page), page["next"]) == (["ada/m0"], None)


def test_one_request_tells_where_it_stands(web: httpx2.Client, index: Index, connection: redis.Redis) -> None:
    """The API shows a waiting request's position, why one is held, how far one is, and why one failed."""
    workers, attempts, now = WorkerRegistry(connection, KEYS), Attempts(connection, KEYS), clock.now()
    workers.announce(WorkerCard(name="w", tiers=("small", "medium", "large"), since=now, beat=now))
    hold = Hold(reason="It is looked into.", by="maya")
    running = entry(3, state="running")
    index.put(entry(1), entry(2, hold=hold), running, ended(4, "FAILED", failure=FAILURE, log="https://hub/log"))
    attempts.queued(running.attempt or "", running.path, now=now)
    attempts.beat(running.attempt or "", AttemptProgress("evaluate", 3, 12), now=now, worker="w", path=running.path)
    first = get(web, f"/api/requests/{path_of(1)}")
    assert (first["state"], first["place"]["position"], first["place"]["workers"]) == ("waiting", 1, 1)
    assert first["request_url"].endswith(f"/datasets/board/requests/blob/main/{path_of(1)}")
    held = get(web, f"/api/requests/{path_of(2)}")
    assert (held["place"], held["held"]["kind"], held["held"]["reason"]) == (None, "hold", "It is looked into.")
    progress = get(web, f"/api/requests/{path_of(3)}")["progress"]
    assert (progress["phase"], progress["done"], progress["total"]) == ("evaluate", 3, 12)
    failed = get(web, f"/api/requests/{path_of(4)}")
    assert failed["failure"] == {**FAILURE.model_dump()}
    assert (failed["state"], failed["log_url"]) == ("failed", "https://hub/log")


def test_the_queue_shows_who_waits_who_is_held_and_who_runs(
    web: httpx2.Client, index: Index, connection: redis.Redis
) -> None:
    """Waiting requests are listed in turn: ada's second comes after bob's first; pages go on by position."""
    index.put(
        entry(1), entry(2), entry(3, org="bob"), entry(4, hold=Hold(reason="Not now.")), entry(5, state="running")
    )
    queue = get(web, "/api/queue")
    assert [request["model"] for request in queue["waiting"]] == ["bob/m3", "ada/m1", "ada/m2"]
    assert [request["position"] for request in queue["waiting"]] == [1, 2, 3]
    assert [(request["model"], request["reason"]) for request in queue["held"]] == [("ada/m4", "Not now.")]
    assert [request["model"] for request in queue["running"]] == ["ada/m5"]
    assert queue["counts"] == {"waiting": 3, "held": 1, "running": 1, "workers": 0}
    page = get(web, "/api/queue", after=1, limit=1)
    assert ([request["model"] for request in page["waiting"]], page["next"]) == (["ada/m1"], 2)
    assert get(web, "/api/queue", after=7, held_after=7)["waiting"] == []


def test_one_document_holds_what_front_ends_show_as_the_queue(web: httpx2.Client, index: Index) -> None:
    """`/api/queue.json` has every list of the queue, with an ETag, for any origin; further pages go by cursor."""
    ends = [ended(number, "FINISHED") for number in (4, 5, 6)]
    index.put(entry(1), entry(2, hold=Hold(reason="Not now.")), entry(3, state="running"), *ends)
    index.put(ended(7, "FAILED", failure=FAILURE), ended(8, "FAILED", access="gated", failure=FAILURE))
    index.put(ended(9, "FAILED", access="private"), ended(10, "CANCELLED"))
    queue = get(web, "/api/queue.json")
    shown = {kind: [request["model"] for request in queue[kind]] for kind in ("waiting", "held", "running", "finished")}
    assert shown == {
        "waiting": ["ada/m1"],
        "held": ["ada/m2"],
        "running": ["ada/m3"],
        "finished": ["ada/m6", "ada/m5", "ada/m4"],
    }
    failures = [
        (request["model"], request["status"], request["failure"] and request["failure"]["message"])
        for request in queue["failed"]
    ]
    assert failures == [("ada/m8", "FAILED", None), ("ada/m7", "FAILED", "The disk is full.")]
    assert (queue["next_finished"], queue["next_failed"]) == (None, None)
    page = get(web, "/api/queue.json", limit=2)
    following = get(web, "/api/requests", status="FINISHED", cursor=page["next_finished"])
    assert models_in(following) == ["ada/m4"]
    answer = web.get("/api/queue.json", headers={"origin": "https://a.space"})
    assert answer.headers["access-control-allow-origin"] == "*"
    again = web.get("/api/queue.json", headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_gated_models_are_shown_without_details_and_private_ones_not_at_all(web: httpx2.Client, index: Index) -> None:
    """A gated model's request has no reason, log or thread; a private one's has a position alone."""
    details = {"failure": FAILURE, "log": "https://hub/log", "results": "ada/m1/results.json"}
    index.put(
        ended(1, "FAILED", access="gated", **details).model_copy(update={"thread": 7}),
        ended(2, "FAILED", access="private", **details),
        entry(3, org="secret", standing={"access": "private"}),
        entry(4, org="secret", state="running", standing={"access": "private"}),
        entry(5, org="secret", hold=Hold(reason="Wait."), standing={"access": "private"}),
    )
    assert models_in(get(web, "/api/requests")) == ["ada/m1"]
    gated = get(web, f"/api/requests/{path_of(1)}")
    assert (gated["failure"], gated["log_url"], gated["thread_url"], gated["access"]) == (None, None, None, "gated")
    assert (gated["results_url"] is not None, gated["details_url"]) == (True, None)
    for number, org in ((2, "ada"), (3, "secret"), (99, "nobody")):
        answer = web.get(f"/api/requests/{path_of(number, org)}")
        assert (answer.status_code, answer.json()["code"]) == (404, "no-request")
    queue = web.get("/api/queue")
    assert "secret" not in queue.text
    assert [(request["path"], request["position"]) for request in queue.json()["waiting"]] == [(None, 1)]
    assert models_in(get(web, "/api/requests", model="secret/m3")) == []
    assert models_in(get(web, "/api/requests", submitter="secret")) == []


def test_old_failures_say_that_no_log_was_kept(stand: BoardDriver, web: httpx2.Client) -> None:
    """For a request that failed before the adoption, the API says that no log exists, also after a loss of Redis."""
    from bot.setup.adopting import adopt

    failed = stand.submit("ada/good", status="FAILED", submitted_time="2024-01-06T09:45:44Z")
    adopt(stand.context)
    for _ in range(2):
        stand.settle()
        request = get(web, f"/api/requests/{failed}")
        assert (request["state"], request["from_before"], request["log_url"]) == ("failed", True, None)
        assert request["submitted"] == "2024-01-06T09:45:44Z"
        assert "there is no log" in request["failure"]["message"]
        assert request["failure"]["advice"].startswith("Ask a maintainer")
        stand.context.redis.flushall()
    assert RECORD not in models_in(get(web, "/api/requests"))


def test_what_the_syncs_see_is_what_is_shown(stand: BoardDriver, web: httpx2.Client) -> None:
    """After a sync, the API shows a refusal with its reason, a waiting request, and an invalid file as failed."""
    refused, waits = stand.submit("ada/pickled"), stand.submit("ada/good")
    stand.put("ada/odd_eval_request_False_float16_Original.json", b'{"status": "PENDING", "model": 7}')
    stand.settle()
    request = get(web, f"/api/requests/{refused}")
    assert (request["status"], request["state"]) == ("FAILED", "failed")
    assert "only as pickle files" in request["failure"]["message"]
    assert "/datasets/board/requests/discussions/" in request["thread_url"]
    assert get(web, f"/api/requests/{waits}")["place"]["position"] == 1
    odd = get(web, "/api/requests/ada/odd_eval_request_False_float16_Original.json")
    assert (odd["state"], odd["failure"]["fault"]) == ("failed", "submission")
