"""The maintainers' pages and API show parked syncs, the inbox and unknown causes to maintainers alone."""

from __future__ import annotations

import json

import httpx2
import pytest

from bot.web.asking import SyncAsker
from leaderboard.attempts import Failure
from redis_state import clock
from redis_state.board.entry import IndexEntry
from redis_state.board.request_snapshot import RequestSnapshot
from steward.testing.board import BOB, SECRET
from tests.support.board.parked_syncs import HOSTILE, NUMBERS, click, is_parked, park, wakes
from tests.support.board.sign_in import Browser, SignInSite
from tests.support.board.submissions import PATH

PAGES = ("/maintain/parked", "/maintain/inbox", "/maintain/unknown")


def test_pages_without_a_session_lead_to_the_sign_in(site: SignInSite) -> None:
    """Each page links to the sign-in and back; actions are refused; programs get 401."""
    browser = site.browser()
    for page in PAGES:
        answer = browser.get(page)
        assert answer.status_code == 401
        assert f'href="/signin?next={page.replace("/", "%2F")}"' in answer.text
        assert answer.headers["cache-control"] == "private, no-store"
        twin = browser.get(f"/api{page}")
        assert (twin.status_code, twin.json()["code"]) == (401, "signed-out")
        assert twin.headers["www-authenticate"] == "Bearer"
    assert browser.get("/maintain").headers["location"] == "/maintain/parked"
    key = park(site, f"unhandled:{next(NUMBERS)}")
    assert browser.post("/maintain/parked/wake", data={"key": key}).status_code == 401
    assert browser.post("/api/maintain/parked/wake", json={"key": key}).status_code == 401
    assert is_parked(site, key)
    back = browser.sign_in("mia", "/maintain/inbox")
    assert browser.get(back.headers["location"]).status_code == 200


def test_a_stranger_is_told_who_may(site: SignInSite, parked: str) -> None:
    """A user who is not a maintainer gets 403 with an explanation, on pages and by token, and wakes nothing."""
    browser = site.browser()
    browser.sign_in("bob")
    for page in PAGES:
        answer = browser.get(page)
        assert answer.status_code == 403
        assert "You are signed in as <strong>bob</strong>" in answer.text
        assert "those whose role in <strong>board</strong> is admin" in answer.text
        assert HOSTILE not in answer.text
        for headers in ({}, {"authorization": f"Bearer {BOB}"}):
            twin = browser.get(f"/api{page}", headers=headers)
            assert (twin.status_code, twin.json()["code"]) == (403, "not-allowed")
            assert "Only maintainers of this leaderboard" in twin.json()["message"]
    assert 'href="/maintain"' not in browser.get("/").text
    assert click(browser, parked).status_code == 403
    wrong = browser.post("/api/maintain/parked/wake", json={"key": parked}, headers={"authorization": f"Bearer {BOB}"})
    assert wrong.status_code == 403
    assert is_parked(site, parked)
    assert wakes(site, "bob") == []


def test_a_maintainer_by_organisation_waits_for_a_sync(site: SignInSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """While no sync answers, a maintainer by organisation waits, and a maintainer of the board file does not."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    monkeypatch.setattr(SyncAsker, "send", lambda asker, message: asker.mailbox.put(message))  # no key is marked
    for key in site.stand.context.redis.keys(site.stand.context.keys.message("errand", "look-*")):
        site.stand.context.redis.delete(key)
    browser = site.browser()
    browser.sign_in("ada")
    answer = browser.get("/maintain/parked")
    assert (answer.status_code, "ask the Hub whether you are a maintainer" in answer.text) == (503, True)
    assert browser.get("/api/maintain/parked").json()["code"] == "unsure"
    browser = site.browser()
    browser.sign_in("mia")
    assert browser.get("/maintain/parked").status_code == 200


def deliver(site: SignInSite, body: bytes, name: str) -> None:
    """Send a delivery to the webhook endpoint, as the Hub does."""
    headers = {"x-webhook-secret": SECRET, "webhook-id": name}
    assert httpx2.post(f"{site.url}/webhooks/hub", content=body, headers=headers, timeout=30).is_success


def test_the_inbox_shows_deliveries_with_their_verdict(site: SignInSite, mia: Browser) -> None:
    """The inbox lists deliveries newest first, by page and by verdict, and shows each body cut and escaped."""
    deliver(site, f'{{"hello": "{HOSTILE}\u202e"}}'.encode(), "first")
    for number in range(4):
        deliver(site, b"no JSON \xff\x1b[2J" + HOSTILE.encode(), f"more-{number}")
    deliver(site, json.dumps({"words": ["x" * 100] * 800}).encode(), "long")
    newest = mia.get("/api/maintain/inbox", params={"limit": 3}).json()
    assert [delivery["id"] for delivery in newest["deliveries"]] == ["long", "more-3", "more-2"]
    older = mia.get("/api/maintain/inbox", params={"limit": 3, "before": newest["next"]}).json()
    assert [delivery["id"] for delivery in older["deliveries"]][:3] == ["more-1", "more-0", "first"]
    some = mia.get("/api/maintain/inbox", params={"verdict": "not-json"}).json()
    assert [delivery["id"] for delivery in some["deliveries"]] == [f"more-{number}" for number in (3, 2, 1, 0)]
    page = mia.get("/maintain/inbox?verdict=not-json")
    assert "more-2" in page.text
    assert ">long<" not in page.text
    first = next(delivery for delivery in older["deliveries"] if delivery["id"] == "first")
    shown = mia.get(f"/maintain/inbox/{first['entry']}")
    assert HOSTILE not in shown.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202e" in shown.text
    raw = mia.get("/api/maintain/inbox/more-0").json()
    assert raw["body"] == f"no JSON \\xff\\x1b[2J{HOSTILE}"
    long = mia.get("/api/maintain/inbox/long").json()
    assert len(long["body"]) == 50_000
    assert long["cut"] > 0
    assert "more characters are not shown" in mia.get("/maintain/inbox/long").text
    assert mia.get("/maintain/inbox/nothing").status_code == 404
    assert mia.get("/api/maintain/inbox/nothing").json()["code"] == "no-delivery"
    assert mia.get("/maintain/inbox?before=%00&verdict=%3Cscript%3E").status_code == 200


def test_unknown_causes_are_listed(site: SignInSite, mia: Browser) -> None:
    """Failures with an unknown cause are listed with the place of their logs; a gated model's has no details."""
    unknown = Failure(cause="unknown", fault="unknown", message=f"It ended. {HOSTILE}")
    known_cause = unknown.model_copy(update={"cause": "worker-lost", "fault": "us"})
    for name, failure, access in (("a", unknown, "public"), ("b", known_cause, "public"), ("c", unknown, "gated")):
        standing = RequestSnapshot(
            status="FAILED", time=clock.now(), failure=failure, log="javascript:alert(1)", access=access
        )
        site.stand.context.index.put(
            IndexEntry(path=PATH.replace("good", name), model=f"ada/{name}", state="settled", standing=standing)
        )
    listed = mia.get("/api/maintain/unknown").json()
    assert ([failure["model"] for failure in listed["unknown"]], listed["hidden"]) == (["ada/a"], 1)
    page = mia.get("/maintain/unknown").text
    assert "ada/a" in page
    assert HOSTILE not in page
    assert "javascript:" not in page
    assert "1 more is of a model" in page
