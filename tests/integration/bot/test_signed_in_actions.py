"""With a session or a token, maintainers wake parked syncs and users submit, and the bot records who did it."""

from __future__ import annotations

import json
from typing import Any

import httpx2

from bot.web.mailbox_syncs import sync_maintainer_action
from leaderboard.roles import Person
from redis_state import clock
from redis_state.board.entry import IndexEntry
from redis_state.board.mailbox import Mailbox
from redis_state.board.messages import MaintainerAction, MaintainerActionResult, wake_sync
from redis_state.board.request_snapshot import RequestSnapshot
from steward.testing.board import ADA
from steward.testing.waiting import wait_until
from tests.support.board.parked_syncs import HOSTILE, NUMBERS, click, is_parked, park, wakes
from tests.support.board.sign_in import MIA, Browser, SignInSite
from tests.support.board.submissions import GOOD, PATH


def on_record(site: SignInSite, person: str, key: str) -> dict[str, Any]:
    """Return the one recorded decision about `key`."""
    (decision,) = (decision for decision in wakes(site, person) if decision["command"] == f"wake {key}")
    return decision


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
        second = park(site, f"unhandled:{next(NUMBERS)}")
        assert "the Hub says that you are no longer a maintainer" in click(olaf, second).text.replace("&#39;", "'")
        assert is_parked(site, second)
        assert on_record(site, "olaf", parked)["allowed"] is True
        refused = on_record(site, "olaf", second)
        assert (refused["allowed"], "maintainer" in refused["roles"]) == (False, False)
    finally:
        accounts.set_member(board, person, "admin")


def test_a_sync_that_died_after_it_woke_a_key_tells_and_records_the_same(site: SignInSite) -> None:
    """If the sync of a wake-up runs again after the bot died, its outcome is the same, with one recorded decision."""
    context = site.stand.context
    mailbox = Mailbox(context.redis, context.keys, MaintainerAction, MaintainerActionResult)
    key = park(site, "unhandled:key")
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
    wait_until(lambda: site.stand.context.hub.find_file(site.stand.context.requests, PATH, confirm=False), seconds=120)
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
