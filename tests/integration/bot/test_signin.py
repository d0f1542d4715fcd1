"""Signing in with the Hub, over HTTP: which requests begin and end a session, and which are refused."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx2
import pytest

from bot.core.settings import BotSettings, SettingsError
from bot.web.signin.app import app_of
from bot.web.signin.routes import MAX_PER_MINUTE
from redis_state.redis import text
from steward.testing.running import served
from tests.support.board.sign_in import APP_SECRET, Browser, SignInSite


@pytest.fixture
def browser(site: SignInSite) -> Browser:
    """A browser without a session."""
    return site.browser()


def name_in(browser: httpx2.Client) -> str | None:
    """Return the name of the account that is signed in with this browser."""
    name: str | None = browser.get("/api/me").json()["name"]
    return name


def test_a_person_signs_in_and_out(site: SignInSite, browser: Browser) -> None:
    """The sign-in link leads to the Hub and back to the page, which shows the name until the person signs out."""
    before = browser.get("/requests?q=yi")
    assert 'href="/signin?next=%2Frequests%3Fq%3Dyi"' in before.text
    assert "cookie" in before.headers["vary"].split(", ")
    back = browser.sign_in("ada", "/requests?q=yi")
    assert (back.status_code, back.headers["location"]) == (303, "/requests?q=yi")
    assert back.headers["cache-control"] == "private, no-store"
    cookies = [line for line in back.headers.get_list("set-cookie") if line.startswith("steward-session=")]
    assert "HttpOnly" in cookies[0]
    assert "SameSite=lax" in cookies[0]
    assert "Max-Age=28800" in cookies[0]
    page = browser.get("/requests?q=yi")
    assert '<a href="/mine" title="My submissions">ada</a>' in page.text
    assert "Sign out" in page.text
    assert page.headers["cache-control"] == "private, no-store"
    me = browser.get("/api/me").json()
    assert (me["id"], me["name"], me["can_sign_in"]) == (site.id_of("ada"), "ada", True)
    out = browser.post("/signout", data={"csrf": me["csrf"]})
    assert (out.status_code, out.headers["location"]) == (303, "/")
    assert name_in(browser) is None
    assert "Sign in" in browser.get("/").text


def test_the_hub_is_asked_for_no_more_than_who_it_is(browser: Browser) -> None:
    """A sign-in asks for the scopes `openid profile`, and has a state, a nonce and a PKCE challenge of its own."""
    first, second = (dict(parse_qsl(urlsplit(browser.get("/signin").headers["location"]).query)) for _ in range(2))
    assert (first["scope"], first["response_type"], first["code_challenge_method"]) == (
        "openid profile",
        "code",
        "S256",
    )
    names = ("state", "nonce", "code_challenge")
    assert all(len(first[name]) == 43 and first[name] != second[name] for name in names)


@pytest.mark.parametrize("what", ["state", "no cookie", "another browser", "no state"])
def test_an_answer_that_this_browser_did_not_ask_for_signs_nobody_in(
    site: SignInSite, browser: Browser, what: str
) -> None:
    """A callback with a forged or no state, or in a browser that began no such sign-in, is refused with status 400."""
    address = browser.agree("bob")
    victim = browser
    if what == "state":
        address = address.replace("state=", "state=x")
    elif what == "no state":
        address = address.partition("&state=")[0]
    else:
        victim = site.browser()
        if what == "another browser":
            victim.get("/signin")
    answer = victim.get(address)
    assert answer.status_code == 400
    assert "was not started in this browser" in answer.text
    assert name_in(victim) is None


def test_a_code_that_comes_twice_signs_nobody_in(site: SignInSite, browser: Browser) -> None:
    """The first use of a code deletes the browser's cookie; with the cookie restored, the Hub refuses the code."""
    address = browser.agree("bob")
    cookie = browser.cookies["steward-signin"]
    assert browser.get(address).status_code == 303
    assert "steward-signin" not in browser.cookies
    assert browser.get(address).status_code == 400
    thief = site.browser()
    thief.cookies.set("steward-signin", cookie)
    again = thief.get(address)
    assert again.status_code == 403
    assert "did not accept this sign-in" in again.text
    assert name_in(thief) is None


def test_a_stolen_cookie_is_worth_nothing_after_the_sign_out(site: SignInSite, browser: Browser) -> None:
    """A sign-out, or a new sign-in in the same browser, ends the session on the server, also for a copied cookie."""
    browser.sign_in("ada")
    thief = site.browser()
    thief.cookies.set("steward-session", browser.cookies["steward-session"])
    assert name_in(thief) == "ada"
    browser.sign_in("ada")
    assert name_in(thief) is None
    thief.cookies.set("steward-session", browser.cookies["steward-session"])
    assert name_in(thief) == "ada"
    browser.post("/signout", data={"csrf": browser.form_token})
    assert name_in(thief) is None


def test_nobody_is_signed_out_by_a_form_of_another_site(browser: Browser) -> None:
    """A sign-out without the session's own form token is refused with status 403."""
    browser.sign_in("ada")
    for form in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": "ü"}):
        answer = browser.post("/signout", data=form)
        assert (answer.status_code, answer.json()["code"]) == (403, "no-form-token")
    assert name_in(browser) == "ada"
    assert browser.get("/signout").status_code == 405


@pytest.mark.parametrize("next", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_no_sign_in_leads_to_another_site(browser: Browser, next: str) -> None:
    """A sign-in whose `next` names another site leads to the board's first page."""
    assert browser.sign_in("ada", next).headers["location"] == "/"


def test_who_says_no_is_not_signed_in(browser: Browser) -> None:
    """A refusal at the Hub, and a missing, unknown or huge code, get a page with status 403 and no session."""
    begun = browser.get("/signin")
    state = parse_qs(urlsplit(begun.headers["location"]).query)["state"][0]
    answer = browser.get("/signin/callback", params={"error": "access_denied", "state": state})
    assert (answer.status_code, "You did not allow the Hub to say who you are" in answer.text) == (403, True)
    for params in ({}, {"error": "<script>"}, {"code": "unknown"}, {"code": "x" * 3_000}):
        state = parse_qs(urlsplit(browser.get("/signin").headers["location"]).query)["state"][0]
        answer = browser.get("/signin/callback", params={**params, "state": state})
        assert answer.status_code == 403, params
        assert "<script>" not in answer.text.replace('<script src="/static', "")
    assert name_in(browser) is None


def test_a_hub_that_is_away_is_told(site: SignInSite, browser: Browser) -> None:
    """If the Hub does not answer, the callback shows a page with status 503; the next sign-in works again."""
    address = browser.agree("ada")
    rule = site.stand.hub.state.faults.add("POST /oauth/token", "fail", times=None, status=503)
    answer = browser.get(address)
    site.stand.hub.state.faults.remove(rule.id)
    assert (answer.status_code, "The Hub does not answer" in answer.text) == (503, True)
    assert browser.sign_in("ada").status_code == 303


def test_nobody_waits_behind_many(site: SignInSite, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit of waiting sign-ins, both `/signin` and the callback answer 503 at once."""
    address = browser.agree("ada")
    monkeypatch.setattr("bot.web.signin.routes.MAX_WAITING", 0)
    assert [browser.get(path).status_code for path in (address, "/signin")] == [503, 503]


def test_an_address_that_brings_many_answers_has_to_wait(
    site: SignInSite, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client with too many callbacks within a minute gets status 429."""
    monkeypatch.setattr("bot.web.signin.routes.MAX_PER_MINUTE", 0)
    assert MAX_PER_MINUTE > 0
    answer = browser.sign_in("ada")
    assert (answer.status_code, "try again in a minute" in answer.text) == (429, True)


def test_nothing_secret_is_kept_or_said(
    site: SignInSite, browser: Browser, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Redis holds neither the cookie nor a token nor a code; logs and pages hold none of them, nor the app's secret."""
    address = browser.agree("ada")
    code = parse_qs(urlsplit(address).query)["code"][0]
    browser.get(address)
    pages = [browser.get(path).text for path in ("/", "/api/me", "/maintain/parked")]
    held = [repr((key, dump(site, key))) for key in site.stand.context.redis.keys("*")]
    printed = capfd.readouterr()
    texts = [*pages, *held, caplog.text, printed.out, printed.err]
    for secret in (browser.cookies["steward-session"], code, APP_SECRET, "hf_oauth_"):
        assert not [words for words in texts if secret in words], secret
    assert any("session" in words for words in held)


def dump(site: SignInSite, key: bytes) -> object:
    """Return the value of a key of any type."""
    connection = site.stand.context.redis
    match text(connection.type(key)):
        case "string":
            return connection.get(key)
        case "hash":
            return connection.hgetall(key)
        case "zset":
            return connection.zrange(key, 0, -1)
        case "set":
            return connection.smembers(key)
        case "list":
            return connection.lrange(key, 0, -1)
        case _:
            return connection.xrange(key)


def test_a_session_that_redis_lost_is_none(site: SignInSite, browser: Browser) -> None:
    """A session that Redis lost, or a cookie that no server issued, is no session."""
    browser.sign_in("ada")
    site.stand.context.redis.delete(*site.stand.context.redis.keys(site.stand.context.keys.session("*")))
    assert name_in(browser) is None
    for cookie in ("x" * 43, "*", "x" * 4_000, "a:b", "%00"):
        other = site.browser()
        other.cookies.set("steward-session", cookie)
        assert (other.get("/").status_code, name_in(other)) == (200, None)


def test_over_https_cookies_are_of_this_host_alone_and_frames_show_nothing_private(site: SignInSite) -> None:
    """In a Space, the cookies are `__Host-` ones, and the Hub may show public pages in a frame, but no private ones."""
    changes = {"space_host": "board.hf.space", "public_url": "", "port": 0, "frame_ancestors": "https://huggingface.co"}
    with served(site.settings.model_copy(update=changes)) as url, httpx2.Client(base_url=url) as browser:
        begun = browser.get("/signin")
        assert "redirect_uri=https%3A%2F%2Fboard.hf.space%2Fsignin%2Fcallback&" in begun.headers["location"]
        cookie = begun.headers["set-cookie"]
        assert cookie.startswith("__Host-steward-signin=")
        assert "; Secure" in cookie
        queue, private = browser.get("/"), browser.get("/maintain/parked")
        assert "frame-ancestors https://huggingface.co" in queue.headers["content-security-policy"]
        assert 'target="_blank" rel="noopener">Sign in<' in queue.text
        assert "frame-ancestors 'none'" in private.headers["content-security-policy"]
        assert private.headers["x-frame-options"] == "DENY"


def test_where_signing_in_is_not_set_up_nothing_speaks_of_it(site: SignInSite) -> None:
    """Without an OAuth app, no page links to a sign-in, and its routes answer 404."""
    off = site.settings.model_copy(update={"oauth_client_id": "", "port": 0})
    with served(off) as url, httpx2.Client(base_url=url) as browser:
        assert "Sign in" not in browser.get("/").text
        assert browser.get("/signin").status_code == 404
        assert browser.get("/signin/callback?code=x&state=y").status_code == 404
        assert "not set up" in browser.get("/maintain/parked").text
        assert browser.get("/api/me").json() == {"can_sign_in": False, "id": None, "name": None, "csrf": None}
        assert browser.post("/signout").status_code == 303


def test_an_app_that_lacks_something_is_told_at_the_start(tmp_path: Path) -> None:
    """Settings of an OAuth app without its secret, the secret's file or a public address are refused."""

    def settings(**changes: object) -> BotSettings:
        return BotSettings(_env_file=None, oauth_client_id="an-app", **changes)  # type: ignore[call-arg, arg-type]

    secret = tmp_path / "secret"
    with pytest.raises(SettingsError, match="STEWARD_PUBLIC_URL"):
        app_of(settings(oauth_client_secret="s"))
    with pytest.raises(SettingsError, match="OAUTH_CLIENT_SECRET too"):
        app_of(settings(public_url="https://board.example"))
    with pytest.raises(SettingsError, match="OAUTH_CLIENT_SECRET_FILE"):
        app_of(settings(public_url="https://board.example", oauth_client_secret_file=secret))
    secret.write_text("from a file\n")
    app = app_of(settings(public_url="https://board.example/", oauth_client_secret_file=secret))
    assert app is not None
    assert (app.secret, app.redirect_uri) == ("from a file", "https://board.example/signin/callback")
    assert "from a file" not in repr(app)
