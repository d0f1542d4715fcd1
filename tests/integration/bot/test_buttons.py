"""Buttons on pages give the commands of threads about requests, with the same rules and records.

The tests use HTTP and running syncs."""

from __future__ import annotations

import html
import re
from typing import Any

import httpx2
import pytest

from bot.web.asking import SyncAsker
from bot.web.mailbox_syncs import sync_page_command
from leaderboard.roles import Person
from redis_state import clock
from redis_state.board.entry import IndexEntry
from redis_state.board.mailbox import Mailbox
from redis_state.board.messages import MaintainerAction, PageCommand, PageCommandResult, ownership_check
from redis_state.board.request_snapshot import RequestSnapshot
from steward.testing.waiting import wait_until
from tests.support.board.sign_in import Browser, SignInSite

# Each test waits for several commits, also on a busy machine.
pytestmark = pytest.mark.timeout(600)
HOSTILE = "<script>alert(1)</script>"


def signed_in(site: SignInSite, who: str) -> Browser:
    """A browser in which `who` is signed in."""
    browser = site.browser()
    browser.sign_in(who)
    return browser


def shown(answer: httpx2.Response) -> str:
    """The text of a page as a person reads it, without tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def submitted(site: SignInSite, precision: str) -> str:
    """Submit a request at this precision, wait until it waits in the queue, and return its path."""
    path = f"ada/good_eval_request_False_{precision}_Original.json"
    site.stand.submit("ada/good", path=path, precision=precision)
    site.stand.context.mark("requests")
    wait_until(lambda: state(site, path) == "waiting", seconds=120)
    return path


def state(site: SignInSite, path: str) -> str:
    """The state of the request on its page's JSON; "" if there is none."""
    answer = httpx2.get(f"{site.url}/api/requests/{path}", timeout=30)
    return str(answer.json()["state"]) if answer.is_success else ""


def buttons(page: httpx2.Response) -> set[str]:
    """The verbs that have a button on the page."""
    return set(re.findall(r'name="verb" value="(\w+)"', page.text))


def fields_of(page: httpx2.Response, verb: str) -> dict[str, str]:
    """The hidden fields of the button of `verb`."""
    form = next(
        form
        for form in re.findall(r'<form method="post" action="/act">.*?</form>', page.text, re.DOTALL)
        if f'name="verb" value="{verb}"' in form
    )
    return {
        name: html.unescape(value) for name, value in re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)
    }


def press(browser: Browser, page: httpx2.Response, verb: str, **fields: str) -> httpx2.Response:
    """Press the button of `verb`, and return the page with its answer."""
    response = browser.post("/act", data={**fields_of(page, verb), **fields})
    return answered(browser, response) if response.status_code == 303 else response


def answered(browser: Browser, response: httpx2.Response) -> httpx2.Response:
    """Wait until a command is answered, and return the page with the answer."""

    def known() -> httpx2.Response | None:
        page = browser.get(response.headers["location"])
        return None if "data-again" in page.text else page

    return wait_until(known, seconds=180)


def decisions(site: SignInSite, verb: str, path: str) -> list[Any]:
    """Return the recorded decisions about a request, newest first."""
    listed = httpx2.get(f"{site.url}/api/decisions", timeout=30).json()["decisions"]
    return [decision for decision in listed if decision["verb"] == verb and path in decision["requests"]]


def test_an_owner_cancels_once_however_often_they_click(site: SignInSite) -> None:
    """Two clicks of an owner on the button to cancel make one decision, on record with the person and their role."""
    path, ada = submitted(site, "float32"), signed_in(site, "ada")
    page = ada.get("/models/ada/good")
    assert "cancel" in buttons(page)
    assert buttons(ada.get(f"/requests/{path}")) == {"cancel"}
    fields = {**fields_of(page, "cancel"), "reason": f"the wrong revision {HOSTILE}"}
    first, second = ada.post("/act", data=fields), ada.post("/act", data=fields)
    assert first.headers["location"] == second.headers["location"]
    response = answered(ada, first)
    assert "Done." in shown(response)
    assert HOSTILE not in response.text
    assert '<a href="/models/ada/good">Back to the page</a>' in response.text
    wait_until(lambda: state(site, path) == "cancelled", seconds=120)
    (decision,) = decisions(site, "cancel", path)
    assert (decision["person"], decision["allowed"], decision["outcome"]) == ("ada", True, "done")
    assert decision["command"].startswith("/cancel ada/good precision=float32 weight_type=Original reason=")
    assert "owner" in decision["roles"]
    assert buttons(ada.get(f"/requests/{path}")) == {"relaunch", "resubmit", "remove"}


def test_a_stranger_sees_no_button_and_can_give_no_command(site: SignInSite) -> None:
    """A person without rights and a visitor see no buttons; a forged form is refused and recorded."""
    path = submitted(site, "float16")
    for browser in (site.browser(), bob := signed_in(site, "bob")):
        for page in (f"/requests/{path}", "/models/ada/good", "/flags", "/threads-waiting"):
            assert buttons(browser.get(page)) == set()
            assert "What you can do" not in browser.get(page).text
    forged = {"csrf": bob.form_token, "key": "k", "verb": "cancel", "model": "ada/good", "precision": "float16"}
    response = answered(bob, bob.post("/act", data=forged))
    assert "It was not done." in shown(response)
    assert "Only a maintainer of this leaderboard, the model's owner or its submitter can use" in shown(response)
    assert state(site, path) == "waiting"
    assert decisions(site, "cancel", path)[0]["allowed"] is False
    for spoilt in ({"csrf": "0" * 64}, {"csrf": ""}):
        assert bob.post("/act", data={**forged, **spoilt}).status_code == 403
    ended = site.browser().post("/act", data={**forged, "reason": "the licence is <b>not</b> clear"})
    assert (ended.status_code, "What you typed, to copy it: the licence is <b>not</b> clear" in shown(ended)) == (
        401,
        True,
    )
    for verb in ("pause", "submit", "nonsense", ""):
        assert bob.post("/act", data={**forged, "verb": verb}).status_code == 422
    flagging = {**forged, "verb": "flag", "models": "ada/good", "category": "other", "reason": "no"}
    assert "Only a maintainer of this leaderboard can use" in shown(answered(bob, bob.post("/act", data=flagging)))
    elsewhere = bob.post("/act", data={**forged, "back": "https://evil.example/", "key": "other"})
    assert 'href="/">Back to the page' in answered(bob, elsewhere).text
    assert bob.get("/act?id=" + "0" * 24).status_code == 404
    assert signed_in(site, "ada").get(elsewhere.headers["location"]).status_code == 404


def test_who_may_write_to_models_of_an_organisation_sees_the_buttons_of_an_owner(site: SignInSite) -> None:
    """A member with write access to an organisation sees an owner's buttons once a sync has asked the Hub."""
    context, accounts = site.stand.context, site.stand.hub.state.accounts
    path = "board/owned_eval_request_False_float32_Original.json"
    standing = RequestSnapshot(status="PENDING", time=clock.now())
    entry = IndexEntry(
        path=path, model="board/owned", state="waiting", submitter="form", attempt="x", standing=standing
    )

    def seen_by(browser: Browser) -> set[str] | None:
        context.index.put(entry)  # the bot drops the entry when it lists all files, because it has none
        page = browser.get(f"/requests/{path}")
        return buttons(page) if page.is_success else None

    board, person = accounts.by_name("board"), accounts.by_name("ada")
    assert board is not None
    assert person is not None
    accounts.set_member(board, person, "write")
    ada, bob = signed_in(site, "ada"), signed_in(site, "bob")
    assert seen_by(ada) == set()
    wait_until(lambda: seen_by(ada) == {"cancel"}, seconds=120)
    own = context.keys.message(
        MaintainerAction.KEY, ownership_check(Person(site.id_of("bob"), "bob"), "board", at=0).id
    )
    wait_until(lambda: seen_by(bob) is not None and context.redis.hget(own, "answer"), seconds=120)
    wait_until(lambda: seen_by(bob) == set(), seconds=120)
    context.index.drop(path)


def test_the_second_of_two_equal_decisions_changes_nothing(site: SignInSite) -> None:
    """If two maintainers hold a request, the second is told that nothing was changed; a hold needs a reason."""
    path, mia, olaf = submitted(site, "bfloat16"), signed_in(site, "mia"), signed_in(site, "olaf")
    wait_until(lambda: 'href="/maintain"' in olaf.get("/").text, seconds=120)
    page, other = mia.get(f"/requests/{path}"), olaf.get(f"/requests/{path}")
    assert {"cancel", "hold"} <= buttons(page) & buttons(other)
    assert press(mia, page, "hold").status_code == 422
    assert "Done." in shown(press(mia, page, "hold", reason="the licence is not clear"))
    response = press(olaf, other, "hold", reason="the licence is not clear")
    assert "Nothing was changed." in shown(response)
    held = wait_until(lambda: "unhold" in buttons(page := mia.get(f"/requests/{path}")) and page, seconds=120)
    assert "the licence is not clear" in held.text
    assert "Done." in shown(press(mia, held, "unhold"))
    wait_until(lambda: "hold" in buttons(mia.get(f"/requests/{path}")), seconds=120)


def test_a_cancelled_request_is_relaunched_and_resubmitted_by_buttons(site: SignInSite) -> None:
    """A maintainer's button makes a cancelled request wait again; resubmitting an unknown revision is refused."""
    path, mia = submitted(site, "8bit"), signed_in(site, "mia")
    assert "Done." in shown(press(mia, mia.get(f"/requests/{path}"), "cancel"))
    wait_until(lambda: state(site, path) == "cancelled", seconds=120)
    page = mia.get(f"/requests/{path}")
    assert "Done." in shown(press(mia, page, "relaunch"))
    wait_until(lambda: state(site, path) == "waiting", seconds=120)
    response = press(mia, page, "resubmit", revision="nowhere")
    assert "It was not done." in shown(response)


@pytest.mark.long("two seconds of a processor")
def test_an_owner_asks_for_a_removal_and_a_maintainer_approves_it(site: SignInSite) -> None:
    """An owner's proposal to remove is listed as waiting; two maintainers who approve it both see that it is done."""
    path = submitted(site, "4bit")
    ada, mia, olaf = (signed_in(site, name) for name in ("ada", "mia", "olaf"))
    press(ada, ada.get(f"/requests/{path}"), "cancel")
    wait_until(lambda: state(site, path) == "cancelled", seconds=120)
    others = [
        request["path"] for request in httpx2.get(f"{site.url}/api/models/ada/good", timeout=30).json()["requests"]
    ]
    for other in others:
        if state(site, other) == "waiting":
            press(mia, mia.get(f"/requests/{other}"), "cancel")
            wait_until(lambda other=other: state(site, other) == "cancelled", seconds=120)
    response = press(ada, ada.get(f"/requests/{path}"), "remove", reason="its weights were wrong")
    assert "Proposed: a maintainer decides." in shown(response)
    (discussion,) = re.findall(r'<a href="([^"]+)">Its discussion</a>', response.text)
    assert discussion.startswith(f"{site.stand.hub.url}/spaces/board/space/discussions/")
    page = wait_until(lambda: "approve" in buttons(page := mia.get("/threads-waiting")) and page, seconds=120)
    wait_until(lambda: "approve" in buttons(olaf.get("/threads-waiting")), seconds=120)
    fields = fields_of(page, "approve")
    assert "Done." in shown(press(mia, page, "approve"))
    second = olaf.post("/act", data={**fields, "csrf": olaf.form_token, "key": "second"})
    assert "Done." in shown(answered(olaf, second))
    removed = wait_until(lambda: "restore" in buttons(page := mia.get(f"/requests/{path}")) and page, seconds=120)
    assert "relaunch" not in buttons(removed)
    wait_until(lambda: "approve" not in buttons(mia.get("/threads-waiting")), seconds=120)
    assert "Done." in shown(press(mia, removed, "restore"))
    wait_until(lambda: "restore" not in buttons(mia.get(f"/requests/{path}")), seconds=120)


def test_a_command_whose_sync_runs_twice_is_answered_and_recorded_once(
    site: SignInSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a sync runs again after the command's effect, the answer is the same and there is one decision."""
    path, context = submitted(site, "GPTQ"), site.stand.context
    mailbox = Mailbox(context.redis, context.keys, PageCommand, PageCommandResult)
    command = PageCommand(
        person_id=site.id_of("mia"),
        person_name="mia",
        verb="hold",
        arguments={"model": "ada/good", "precision": "GPTQ", "reason": "wait"},
        key="a key",
        at=clock.now(),
    )
    mailbox.put(command)
    for _ in range(2):
        context.redis.hdel(context.keys.message(PageCommand.KEY, command.message_id), "answer")
        sync_page_command(context, command.message_id)
        assert (answer := mailbox.read(command.message_id)) is not None
        assert (answer.outcome, answer.allowed) == ("done", True)
    assert len(decisions(site, "hold", path)) == 1
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    monkeypatch.setattr(SyncAsker, "send", lambda asker, message: asker.mailbox.put(message))  # no sync answers
    mia = signed_in(site, "mia")
    fields = {"csrf": mia.form_token, "key": "k", "verb": "unhold", "model": "ada/good", "precision": "GPTQ"}
    waits = mia.get(mia.post("/act", data=fields).headers["location"])
    assert "is being carried out. Look again in a few seconds" in shown(waits)
