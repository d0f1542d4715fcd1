"""The maintainers' pages and API: what maintainers can see and do there, and other users cannot."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import redis

from bot.probe import Probe
from bot.web.asking import SyncAsker
from bot.web.mailbox_syncs import sync_maintainer_action
from leaderboard.attempts import Failure
from leaderboard.roles import Person
from redis_state import clock
from redis_state.board.entry import IndexEntry
from redis_state.board.mailbox import Mailbox
from redis_state.board.messages import MaintainerAction, MaintainerActionResult, wake_sync
from redis_state.board.request_snapshot import RequestSnapshot
from redis_state.parking import ParkedSync
from steward.valkey import Valkey
from tests.support.board.board_driver import ADA, BOB
from tests.support.board.board_file import SECRET
from tests.support.board.sign_in import MIA, Browser, SignInSite, signing
from tests.support.sizes import one_in
from tests.support.waiting import wait_until

pytestmark = one_in(2)
PAGES = ("/maintain/parked", "/maintain/inbox", "/maintain/unknown")
HOSTILE = "<script>alert(1)</script>"
GOOD = {"model": "ada/good", "precision": "float32"}
PATH = "ada/good_eval_request_False_float32_Original.json"
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, probe: Probe) -> Iterator[SignInSite]:
    """One board for all tests here."""
    with (
        redis.Redis.from_url(valkey.url) as connection,
        signing(tmp_path_factory.mktemp("maintain"), connection, valkey.url, probe) as opened,
    ):
        yield opened


@pytest.fixture(scope="module")
def mia(site: SignInSite) -> Browser:
    """A browser that is signed in as Mia, a maintainer in the board file."""
    browser = site.browser()
    browser.sign_in("mia")
    return browser


@pytest.fixture
def parked(site: SignInSite) -> str:
    """The key of a parked sync, a new one for each test because a woken sync may still be running."""
    return park(site, f"nobody:{next(NUMBERS)}")


def park(site: SignInSite, key: str, error: str = f"ValueError: {HOSTILE}") -> str:
    """Park the sync of `key`."""
    site.stand.context.parking.park(ParkedSync(key=key, error=error, tries=8, since=clock.now() - 60))
    return key


def is_parked(site: SignInSite, key: str) -> bool:
    """Whether the sync of `key` is parked."""
    return any(parked_sync.key == key for parked_sync in site.stand.context.parking.all())


def on_record(site: SignInSite, person: str, key: str) -> dict[str, Any]:
    """Return the one recorded decision about `key`."""
    (decision,) = (decision for decision in wakes(site, person) if decision["command"] == f"wake {key}")
    return decision


def click(browser: Browser, key: str, **form: str) -> httpx2.Response:
    """Press the button beside `key`, and return the page that follows."""
    response = browser.post("/maintain/parked/wake", data={"csrf": browser.form_token, "key": key, **form})
    return browser.get(response.headers["location"]) if response.status_code == 303 else response


def wakes(site: SignInSite, person: str) -> list[dict[str, Any]]:
    """Return the recorded decisions of a person."""
    decisions = httpx2.get(f"{site.url}/api/decisions", timeout=30).json()["decisions"]
    return [decision for decision in decisions if decision["person"] == person]


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
    key = park(site, f"nobody:{next(NUMBERS)}")
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


def test_a_maintainer_wakes_a_parked_sync(site: SignInSite, mia: Browser, parked: str) -> None:
    """A maintainer sees a parked sync with its escaped error; a click wakes it, and the decision is recorded."""
    shown = mia.get("/maintain/parked")
    assert 'href="/maintain"' in shown.text
    assert HOSTILE not in shown.text
    assert "ValueError: &lt;script&gt;alert(1)&lt;/script&gt;" in shown.text
    (parked_sync,) = (
        parked_sync for parked_sync in mia.get("/api/maintain/parked").json()["parked"] if parked_sync["key"] == parked
    )
    assert (parked_sync["tries"], parked_sync["error"]) == (8, f"ValueError: {HOSTILE}")
    after = click(mia, parked)
    assert "Woken: the sync is retried at once" in after.text
    assert parked not in after.text
    wait_until(lambda: site.stand.context.redis.zscore(site.stand.context.keys.dirty, parked) is None)
    last = on_record(site, "mia", parked)
    assert (last["verb"], last["allowed"]) == ("wake", True)
    assert (last["person_id"], last["thread_url"]) == (site.id_of("mia"), "")
    assert "maintainer" in last["roles"]
    decision = wait_until(
        lambda: [parked_sync for parked_sync in kept(site) if parked_sync["command"] == f"wake {parked}"], seconds=120
    )[0]
    assert (decision["verb"], decision["person"]["name"], decision["thread"]) == ("wake", "mia", None)
    assert f"wake {parked}" in mia.get("/decisions").text


def kept(site: SignInSite) -> list[Any]:
    """The decisions that are recorded on the Hub."""
    context = site.stand.context
    paths = [file.path for file in context.hub.list_files(context.logs) if file.path.startswith("decisions/")]
    return [json.loads(context.hub.read_file(context.logs, path).data) for path in paths]


def test_a_form_without_its_token_wakes_nothing(site: SignInSite, mia: Browser, parked: str) -> None:
    """A form without its session's own form token wakes nothing, nor does the API with a cookie alone."""
    other = site.browser()
    other.sign_in("mia")
    for token in ("", "0" * 64, other.form_token):
        answer = click(mia, parked, csrf=token)
        assert (answer.status_code, "not sent from a page of ours" in answer.text) == (403, True)
        twin = mia.post("/api/maintain/parked/wake", json={"key": parked}, headers={"x-csrf-token": token})
        assert (twin.status_code, twin.json()["code"]) == (403, "no-form-token")
    assert is_parked(site, parked)
    mine = mia.post("/api/maintain/parked/wake", json={"key": parked}, headers={"x-csrf-token": mia.form_token})
    assert (mine.status_code, mine.json()["code"]) == (200, "woken")


def test_programs_wake_with_a_token_of_a_maintainer(site: SignInSite, parked: str) -> None:
    """A maintainer's token wakes a parked sync once; for a key that is not parked the API returns 409, unrecorded."""
    with httpx2.Client(base_url=site.url, headers={"authorization": f"Bearer {MIA}"}, timeout=30) as program:
        first = program.post("/api/maintain/parked/wake", json={"key": parked})
        assert (first.status_code, first.json()["code"]) == (200, "woken"), first.text
        before = len(wakes(site, "mia"))
        for key in (parked, "nonsense"):
            again = program.post("/api/maintain/parked/wake", json={"key": key})
            assert (again.status_code, again.json()["code"]) == (409, "not-parked")
        assert len(wakes(site, "mia")) == before
        for body in ({}, {"key": ""}, {"key": 7}, {"key": "x" * 2_001}):
            assert program.post("/api/maintain/parked/wake", json=body).status_code == 422
        assert program.post("/api/maintain/parked/wake", content=b"{").status_code == 422


def test_a_role_in_an_organisation_is_read_again_before_an_action(site: SignInSite, parked: str) -> None:
    """A maintainer by organisation can wake a sync, and is refused as soon as the Hub no longer shows the role."""
    olaf = site.browser()
    olaf.sign_in("olaf")
    wait_until(lambda: 'href="/maintain"' in olaf.get("/").text)
    assert olaf.get("/maintain/parked").status_code == 200
    site.stand.context.redis.delete(*site.stand.context.redis.keys(site.stand.context.keys.message("errand", "look-*")))
    assert 'href="/maintain"' in olaf.get("/").text  # the session keeps the link after one successful check
    assert "Woken" in click(olaf, parked).text
    accounts = site.stand.hub.state.accounts
    board, person = accounts.by_name("board"), accounts.by_name("olaf")
    assert board is not None
    assert person is not None
    accounts.set_member(board, person, "write")
    try:
        second = park(site, f"nobody:{next(NUMBERS)}")
        assert "the Hub says that you are no longer a maintainer" in click(olaf, second).text.replace("&#39;", "'")
        assert is_parked(site, second)
        assert on_record(site, "olaf", parked)["allowed"] is True
        refused = on_record(site, "olaf", second)
        assert (refused["allowed"], "maintainer" in refused["roles"]) == (False, False)
    finally:
        accounts.set_member(board, person, "admin")


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


def test_a_sync_that_died_after_it_woke_a_key_tells_and_records_the_same(site: SignInSite) -> None:
    """If the sync of a wake-up runs again after the bot died, its outcome is the same, with one recorded decision."""
    context = site.stand.context
    mailbox = Mailbox(context.redis, context.keys, MaintainerAction, MaintainerActionResult)
    key = park(site, "nobody:knows")
    maintainer_action = wake_sync(Person(site.id_of("mia"), "mia"), key, at=clock.now())
    mailbox.put(maintainer_action)
    before = len(wakes(site, "mia"))
    for _ in range(2):
        context.redis.hdel(context.keys.message("errand", maintainer_action.id), "answer")
        sync_maintainer_action(context, maintainer_action.id)
        assert mailbox.read(maintainer_action.id) == MaintainerActionResult(code="woken")
    assert len(wakes(site, "mia")) == before + 1
    assert not is_parked(site, key)


def test_the_record_names_no_model_that_not_everybody_may_see(site: SignInSite, mia: Browser) -> None:
    """The public record of a decision does not name a private model."""
    path = "ada/secret_eval_request_False_float32_Original.json"
    entry = IndexEntry(path=path, model="ada/secret", standing=RequestSnapshot(status="FAILED", access="private"))
    site.stand.context.index.put(entry)
    assert "Woken" in click(mia, park(site, f"request:{path}")).text
    last = on_record(site, "mia", "request:…")
    assert (last["model"], last["requests"]) == ("", [])
    assert "secret" not in json.dumps(wakes(site, "mia"))


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


def test_a_page_of_the_board_submits_for_its_session(site: SignInSite) -> None:
    """A cookie with its form token submits, and the person is recorded; without the form token it is refused."""
    browser = site.browser()
    browser.sign_in("ada")
    for token in ("", "0" * 64):
        refused = browser.post("/api/requests", json=GOOD, headers={"x-csrf-token": token})
        assert (refused.status_code, refused.json()["code"]) == (403, "no-form-token")
    assert site.browser().post("/api/requests", json=GOOD).status_code == 401

    def submitted() -> Any:
        answer = browser.post("/api/requests", json=GOOD, headers={"x-csrf-token": browser.form_token})
        assert answer.status_code == 202, answer.text
        return answer.json() if answer.json()["code"] == "submitted" else None

    submission = wait_until(submitted, seconds=120)
    assert submission["path"] == PATH
    (last,) = wakes(site, "ada")
    assert (last["verb"], last["model"], last["requests"], last["allowed"]) == ("submit", "ada/good", [PATH], True)
    assert last["command"].startswith("/submit ada/good ")
    assert "precision=float32" in last["command"]
    wait_until(lambda: site.stand.context.hub.find_file(site.stand.context.requests, PATH), seconds=120)
    assert site.stand.file(PATH)["steward"]["submitter"] == "ada"
    state = site.stand.hub.state
    app, bob = state.oauth.app("an-app"), state.accounts.by_name("bob")
    assert app is not None
    assert bob is not None
    code = state.oauth.agree(app, bob, app.redirects[0], scope="openid profile")
    _, token = state.oauth.exchange(app, code, app.redirects[0], "")

    def answered() -> Any:
        answer = httpx2.post(
            f"{site.url}/api/requests", json=GOOD, headers={"authorization": f"Bearer {token}"}, timeout=30
        )
        return answer.json()["code"] != "under-way" and answer

    taken = wait_until(answered, seconds=120)
    assert (taken.status_code, taken.json()["code"]) == (409, "exists")
    assert wakes(site, "bob") == []
    assert ADA not in json.dumps(wakes(site, "ada"))
