"""The pages for checking and submitting models, over HTTP and without JavaScript, with a Hub and running syncs."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
import redis

from bot.probe import Probe
from bot.web.asking import SyncAsker
from bot.web.board import BoardReader
from bot.web.checks import NAMES_PER_CLIENT
from bot.web.incoming import client_name
from bot.web.pages.mine import quota_of
from hub.records import Repo
from leaderboard.policy import AdmissionPolicy
from redis_state import clock
from redis_state.board.entry import IndexEntry
from redis_state.board.request_snapshot import RequestSnapshot
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.board.model_pages import MODEL_PAGES
from tests.support.board.sign_in import Browser, SignInSite, signing

pytestmark = pytest.mark.timeout(600)  # tests wait for checks and commits, also on a busy machine
HOSTILE = "<script>alert(1)</script>"
PATH = "ada/good_eval_request_False_float32_Original.json"
CHOSEN = {
    "model": "ada/good",
    "revision": "main",
    "precision": "FP32",
    "weight_type": "original",
    "base_model": "",
    "model_type": "pretrained",
    "chat_template": "no",
}


@pytest.fixture(scope="module")
def lasting_site(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, probe: Probe) -> Iterator[SignInSite]:
    """One board for all tests here."""
    with (
        redis.Redis.from_url(valkey.url) as connection,
        signing(tmp_path_factory.mktemp("forms"), connection, valkey.url, probe, MODEL_PAGES) as opened,
    ):
        yield opened


@pytest.fixture
def site(lasting_site: SignInSite) -> SignInSite:
    """The board, with the full number of checks left."""
    context = lasting_site.stand.context
    context.redis.delete(context.keys.asked(client_name("127.0.0.1")), context.keys.asked("all"))
    return lasting_site


def shown(answer: httpx2.Response) -> str:
    """The text of a page as a person reads it, without tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def looked(browser: Browser, address: str, params: dict[str, str] | None = None) -> httpx2.Response:
    """Reload the page until its check is done, and return it."""

    def done() -> httpx2.Response | None:
        answer = browser.get(address, params=params)
        return None if "data-again" in answer.text else answer

    return wait_until(done, seconds=120)


def value(answer: httpx2.Response, name: str) -> str:
    """The value of a field on the page."""
    field = re.search(rf'<input type="(?:text|hidden)"[^>]* name="{name}" value="([^"]*)"', answer.text)
    if field is not None:
        return html.unescape(field[1])
    chosen = re.search(rf'<select[^>]* name="{name}".*?<option value="([^"]*)" selected', answer.text)
    chosen = chosen or re.search(rf'name="{name}" value="([^"]*)" checked', answer.text)
    return html.unescape(chosen[1]) if chosen else ""


def press(browser: Browser, page: httpx2.Response, do: str = "submit", **fields: str) -> httpx2.Response:
    """Press a button of the form on `page`, in which these fields are filled in."""
    hidden = {name: value(page, name) for name in ("csrf", "key")}
    return browser.post("/submit", data={**hidden, **CHOSEN, "do": do, **fields})


def test_a_check_needs_no_account_and_tells_everything_at_once(site: SignInSite) -> None:
    """The check page shows reasons, advice, passed checks and guesses, and accepts a Hub address and aliases."""
    browser, before = site.browser(), site.stand.commits()
    empty = browser.get("/check")
    assert (empty.status_code, "would" in shown(empty).partition("Check a model")[2][:40]) == (200, False)
    address = f"{site.stand.hub.url}/ada/pickled/tree/main"
    bad = looked(browser, "/check", {"model": address, "precision": "BF16"})
    assert "ada/pickled would not be accepted" in shown(bad)
    assert "pickle files" in shown(bad)
    assert "Convert the weights to safetensors" in shown(bad)
    assert "The model can be read" in shown(bad)
    assert (value(bad, "model"), value(bad, "precision"), value(bad, "weight_type")) == (
        "ada/pickled",
        "bfloat16",
        "Original",
    )
    assert "weight type Original , according to its files" in shown(bad)
    assert site.stand.commits() == before
    good = looked(browser, "/check", {"model": "ada/good", "precision": "fp32", "weight_type": "Original"})
    assert "ada/good would be accepted" in shown(good)
    assert "position 1 of 1 in the queue" in shown(good)
    same = browser.get("/api/check", params={"model": "ada/good", "precision": "float32"}).json()
    assert (same["state"], same["accepted"], same["place"]["position"], same["guesses"]) == ("done", True, 1, [])


def test_checks_on_the_page_are_limited_as_those_of_the_api(site: SignInSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the limit the page returns 429, keeps the fields and says how long to wait; a pending check has a link."""
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    monkeypatch.setattr(SyncAsker, "send", lambda asker, message: asker.mailbox.put(message))  # no sync answers
    browser = site.browser()
    pending = browser.get("/check", params={"model": "ada/m0", "revision": "a b"})
    assert (pending.status_code, "ada/m0 is being checked" in shown(pending)) == (200, True)
    assert 'href="/check?model=ada%2Fm0&amp;revision=a+b' in pending.text
    for number in range(site.settings.checks_per_client):
        last = browser.get("/check", params={"model": f"ada/m{number + 1}"})
    assert (last.status_code, "too many checks" in shown(last)) == (429, True)
    assert f'data-retry="{last.headers["retry-after"]}"' in last.text
    assert value(last, "model") == f"ada/m{site.settings.checks_per_client}"
    assert browser.get("/api/check", params={"model": "ada/other"}).status_code == 429


def test_names_are_completed_from_the_hub(site: SignInSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name suggestions list public models only and are cached; without an answer from the Hub there are none."""
    context, browser = site.stand.context, site.browser()
    context.hub.create_repo(Repo("model", "steward-bot/good-secret"), private=True)

    def names(words: str) -> Any:
        return browser.get("/check/names", params={"q": words}).json()

    assert wait_until(lambda: names("goo"), seconds=120) == ["ada/good"]
    calls = len(site.stand.calls)
    assert names(" GOO ") == ["ada/good"]
    assert (names("go"), names("x" * 101), len(site.stand.calls)) == ([], [], calls)

    def exists(model: str) -> Any:
        return browser.get("/check/exists", params={"model": model}).json()["exists"]

    for model, known in (("ada/good", True), ("ada/never", False), ("steward-bot/good-secret", False)):
        assert wait_until(lambda model=model: exists(model) is not None, seconds=120)
        assert exists(model) is known
    calls = len(site.stand.calls)
    assert [exists(name) for name in ("good", "a b/c", "x/" + "y" * 300, "ada/good")] == [False, False, False, True]
    assert len(site.stand.calls) == calls, "an invalid or a cached name costs no call"
    monkeypatch.setattr("bot.web.asking.WAIT_SECONDS", 0.0)
    monkeypatch.setattr(SyncAsker, "send", lambda asker, message: asker.mailbox.put(message))  # no sync answers
    assert (names("ada/"), exists("ada/unasked")) == ([], None)
    context.redis.set(context.keys.asked(f"names {client_name('127.0.0.1')}"), NAMES_PER_CLIENT, ex=60)
    assert browser.get("/check/names", params={"q": "another"}).status_code == 429


@pytest.mark.parametrize("name", ["model", "revision", "precision", "weight_type", "base_model", "model_type"])
def test_hostile_fields_stay_text(site: SignInSite, name: str) -> None:
    """A hostile or too long text in any field is not rendered as HTML, and causes no server error."""
    browser = site.browser()
    for text in (HOSTILE, "x" * 5_000, "\ud83d\ude00\u202e\x00"):
        fields = {"model": "ada/nothing", name: text.encode("utf-16", "surrogatepass").decode("utf-16")}
        for address in ("/check", "/submit"):
            answer = browser.get(address, params=fields)
            assert answer.status_code in (200, 422, 429), answer.text
            assert HOSTILE not in answer.text


def test_visitors_who_are_not_signed_in_learn_what_they_can_do(site: SignInSite) -> None:
    """The submit page offers sign-in, a comment and the API; after sign-in the fields are filled in again."""
    browser = site.browser()
    response = browser.get("/submit", params={"model": "ada/good", "precision": "fp16"})
    assert (response.status_code, response.headers["x-frame-options"]) == (200, "DENY")
    for words in ("Sign in and submit", "/submit ada/good", "POST /api/requests", "Check a model without an account"):
        assert words in shown(response)
    (address,) = re.findall(r'class="button" href="/signin\?next=([^"]+)"', response.text)
    back = httpx2.QueryParams(f"next={html.unescape(address)}")["next"]
    browser.sign_in("ada", back)
    form = looked(browser, back)
    assert (value(form, "model"), value(form, "precision")) == ("ada/good", "float16")


def test_a_look_at_the_model_guesses_the_rest_and_says_from_where(site: SignInSite) -> None:
    """The form fills in guesses from the model and names their source; it keeps the person's own choices."""
    browser = site.browser()
    browser.sign_in("ada")
    page = browser.get("/submit")
    asked = press(browser, page, "look", precision="", weight_type="", model_type="", chat_template="")
    assert (asked.status_code, "csrf" in asked.headers["location"]) == (303, False)
    filled = looked(browser, asked.headers["location"])
    fields = {name: value(filled, name) for name in ("precision", "weight_type", "model_type", "chat_template")}
    assert fields == {
        "precision": "bfloat16",
        "weight_type": "Original",
        "model_type": "pretrained",
        "chat_template": "no",
    }
    assert "Guessed, according to its model card, which names no base model." in shown(filled)
    assert "ada/good would be accepted" in shown(filled)
    chosen = looked(browser, "/submit", {"model": "ada/good", "precision": "float32", "model_type": "chat"})
    assert (value(chosen, "precision"), value(chosen, "model_type")) == ("float32", "chat")
    hasty = press(browser, page, "submit", precision="")
    assert hasty.headers["location"].startswith("/submit?model=ada%2Fgood"), "an incomplete form is not submitted"


def sent(browser: Browser, answer: httpx2.Response) -> Any:
    """Reload a submission's page until its outcome is known, and return the response."""
    assert answer.status_code == 303, answer.text

    def known() -> httpx2.Response | None:
        page = browser.get(answer.headers["location"])
        return None if "data-again" in page.text else page

    return wait_until(known, seconds=180)


def test_a_person_submits_a_model_once_however_often_they_click(site: SignInSite) -> None:
    """Two clicks make one submission in the person's name, which leads to the page of its request."""
    browser = site.browser()
    browser.sign_in("ada")
    page = browser.get("/submit")
    first, second = press(browser, page), press(browser, page)
    assert first.headers["location"] == second.headers["location"]
    response = sent(browser, first)
    assert (response.status_code, response.headers["location"]) == (303, f"/requests/{PATH}")
    assert browser.get(response.headers["location"]).status_code == 200
    file = site.stand.file(PATH)
    assert (file["sender"], file["model_type"], file["precision"]) == ("ada", "pretrained", "float32")
    assert file["use_chat_template"] is False
    decisions = httpx2.get(f"{site.url}/api/decisions", timeout=30).json()["decisions"]
    assert (
        len([decision for decision in decisions if decision["verb"] == "submit" and decision["model"] == "ada/good"])
        == 1
    )
    again = sent(browser, press(browser, browser.get("/submit")))
    assert "already has a request" in shown(again)
    assert f'href="/requests/{PATH}"' in again.text


def test_a_refused_model_is_told_with_every_reason_and_the_form_comes_back(site: SignInSite) -> None:
    """A refused submission commits nothing, its link back keeps the fields, and only its author sees the answer."""
    browser, before = site.browser(), site.stand.commits()
    browser.sign_in("bob")
    answer = press(browser, browser.get("/submit"), model="ada/pickled", model_type="continuously pretrained")
    response = sent(browser, answer)
    assert "It was not submitted" in shown(response)
    assert "pickle files" in shown(response)
    (back,) = re.findall(r'<a href="(/submit\?[^"]+)">Back to the form', response.text)
    form = looked(browser, html.unescape(back))
    assert (value(form, "model"), value(form, "model_type")) == ("ada/pickled", "continuously pretrained")
    assert site.stand.commits() == before
    other = site.browser()
    other.sign_in("ada")
    assert other.get(answer.headers["location"]).status_code == 404
    signed_out = site.browser().get(answer.headers["location"])
    assert (signed_out.status_code, "Sign in and submit" in shown(signed_out)) == (200, True)
    assert browser.get("/submit/sent?id=nothing").status_code == 404
    assert browser.get("/submit/sent?id=%2e%2e%2f:*").status_code == 404


def test_a_session_that_ends_in_the_middle_of_the_form_loses_nothing(site: SignInSite) -> None:
    """If the session has ended, the sign-in leads back to the filled-in form; an older session's form is kept."""
    browser = site.browser()
    browser.sign_in("bob")
    page = browser.get("/submit")
    site.stand.context.redis.delete(*site.stand.context.redis.keys("*session*"))
    response = press(browser, page, model="ada/remote", base_model="b" * 190)
    assert (response.status_code, "Nothing that you typed is lost" in shown(response)) == (401, True)
    (address,) = re.findall(r'class="button" href="/signin\?next=([^"]+)"', response.text)
    back = httpx2.QueryParams(f"next={html.unescape(address)}")["next"]
    assert browser.sign_in("bob", back).headers["location"] == back
    form = looked(browser, back)
    assert (value(form, "model"), value(form, "base_model")) == ("ada/remote", "b" * 190)
    assert value(form, "model_type") == "pretrained"
    stale = press(browser, page, model="ada/remote")
    assert (stale.status_code, "from an earlier sign-in" in shown(stale)) == (403, True)
    assert (value(stale, "model"), value(stale, "csrf")) == ("ada/remote", browser.form_token)


def test_a_form_that_is_nonsense_is_shown_again(site: SignInSite) -> None:
    """A form with an impossible model name is shown again with its fields; a malformed body gets 403."""
    browser = site.browser()
    browser.sign_in("bob")
    page = browser.get("/submit")
    answer = press(browser, page, model="no model at all", model_type="merge")
    assert (answer.status_code, "It was not submitted" in shown(answer)) == (422, True)
    assert (value(answer, "model"), value(answer, "model_type")) == ("no model at all", "merge")
    assert browser.post("/submit", content=b"\xff\xfe").status_code == 403


def test_a_person_sees_their_submissions_and_their_quota(site: SignInSite) -> None:
    """The page `/mine` lists a person's public requests with state and position, and shows none to other users."""
    context = site.stand.context
    path = PATH.replace("ada/good", "ada/mine").replace("float32", "4bit")
    standing = RequestSnapshot(status="PENDING", time=clock.now() - 60)
    entry = IndexEntry(path=path, model="ada/mine", state="waiting", submitter="olaf", attempt="x", standing=standing)
    context.index.put(entry)
    old = RequestSnapshot(status="FINISHED", time=clock.now() - 90 * 86_400)
    finished = IndexEntry(path=path.replace("mine", "old"), model="ada/old", submitter="olaf", standing=old)
    context.index.put(finished.changed(state="settled"))
    hidden = RequestSnapshot(status="PENDING", time=clock.now(), access="private")
    context.index.put(entry.changed(model="ada/secret", standing=hidden).model_copy(update={"path": f"x{path}"}))
    browser = site.browser()
    assert "Sign in to see yours" in shown(browser.get("/mine"))
    browser.sign_in("olaf")
    page = browser.get("/mine")
    assert (page.status_code, page.headers["cache-control"]) == (200, "private, no-store")
    assert re.search(rf'href="/requests/{path}">ada/mine</a>.*?waiting.*?\d+ of \d+', page.text, re.DOTALL)
    assert "ada/old" in page.text
    assert "secret" not in page.text
    assert "No quota limits your submissions" in shown(page)
    board = BoardReader(context)
    context.board = (unlimited := context.board).model_copy(update={"admission": AdmissionPolicy(quota=3)})
    assert (own := quota_of(board, "OLAF")) is not None
    context.board = unlimited
    assert (own.left, own.used, own.days) == (1, 2, 7), "the waiting and the private request count, the old one not"
    other = site.browser()
    other.sign_in("bob")
    assert "ada/mine" not in other.get("/mine?cursor=nonsense").text
    for stored in (entry, finished, entry.model_copy(update={"path": f"x{path}"})):
        context.index.drop(stored.path)


def test_a_box_for_the_models_own_page_is_never_ticked_beforehand(
    site: SignInSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No address ticks the box for the pull request with scores; a person who is not the owner gets a plain answer."""
    browser, context = site.browser(), site.stand.context
    browser.sign_in("bob")
    page = browser.get("/submit", params={"publish_scores": "yes"})
    checkbox = '<input type="checkbox" name="publish_scores" value="yes">'
    assert checkbox in page.text
    monkeypatch.setattr(context, "models_hub", context.hub)
    response = sent(browser, press(browser, page, publish_scores="yes", precision="4bit"))
    assert "as far as the Hub shows me, you are not an owner of it" in shown(response)
    assert "Submitted" in shown(response)
    bad = press(browser, page, model="no model at all", publish_scores="yes")
    assert checkbox.replace('">', '" checked>') in bad.text, "what a person ticked stays if the form is shown again"
