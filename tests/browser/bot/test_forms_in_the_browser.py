"""People check and submit models in headless Chromium: with a script and without, with axe, in light and dark."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from bot.probe import Probe
from bot.web.incoming import client_name
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.board.sign_in import SignInSite, signing

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
DESK, PHONE = ViewportSize(width=1200, height=900), ViewportSize(width=360, height=740)
LOOKS: tuple[tuple[ViewportSize, Literal["light", "dark"]], ...] = ((DESK, "light"), (PHONE, "dark"))


@pytest.fixture(scope="module")
def lasting_site(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, probe: Probe) -> Iterator[SignInSite]:
    """A running board, for all tests of this file."""
    with (
        redis.Redis.from_url(valkey.url) as connection,
        signing(tmp_path_factory.mktemp("forms"), connection, valkey.url, probe) as made,
    ):
        yield made


@pytest.fixture
def site(lasting_site: SignInSite) -> SignInSite:
    """The board, with the limit of checks reset."""
    context = lasting_site.stand.context
    context.redis.delete(context.keys.asked(client_name("127.0.0.1")), context.keys.asked("all"))
    return lasting_site


@pytest.fixture
def tab(browser: Browser, site: SignInSite) -> Iterator[Page]:
    """A tab; afterwards no script may have failed, and the content security policy may have blocked nothing."""
    context = browser.new_context(base_url=site.url, viewport=DESK)
    page, complaints = context.new_page(), list[str]()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if "Content Security Policy" in message.text else None,
    )
    yield page
    context.close()
    assert complaints == []


def sign_in(page: Page, who: str, start: str) -> None:
    """Sign in from the page `start`, which asks for it, and come back to it."""
    page.goto(start)
    page.get_by_role("link", name="Sign in").last.click()
    page.get_by_role("button", name=f"Authorize as {who}").click()
    page.wait_for_url(f"**{start}")  # loaded with its scripts: what a test types, and which calls it refuses, counts


def look(page: Page, name: str) -> None:
    """Check with axe-core that the page has no serious fault, light on a desktop and dark on a phone.

    If STEWARD_SCREENSHOTS names a folder, pictures of the page are saved there.
    """
    pictures = os.environ.get("STEWARD_SCREENSHOTS")
    for size, colours in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=colours, reduced_motion="reduce")
        if pictures:
            page.screenshot(path=Path(pictures) / f"{name}-{colours}.png", full_page=True)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), name
        violations = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        faults = [
            f"{violation['id']}: {', '.join(str(node['target'][0]) for node in violation['nodes'][:3])}"
            for violation in violations
            if violation["impact"] in ("serious", "critical")
        ]
        assert faults == [], f"{name}, {colours}"
    page.set_viewport_size(DESK)
    page.emulate_media(color_scheme="light", reduced_motion="reduce")


@pytest.mark.long("more than ten seconds in a browser; other tests of this file open the page")
def test_a_check_follows_the_form(tab: Page) -> None:
    """When a user names a model, the page shows the outcome of its check, fills in guesses, and can be shared."""
    tab.goto("/check")
    tab.get_by_label("Model", exact=True).press_sequentially("ada/pick")
    expect(tab.locator("#models option")).to_have_attribute("value", "ada/pickled")
    tab.get_by_label("Model", exact=True).fill("ada/pickled")
    tab.keyboard.press("Tab")
    outcome = tab.locator("#outcome")
    expect(outcome).to_contain_text("ada/pickled would not be accepted")
    expect(outcome).to_contain_text("Convert the weights to safetensors")
    expect(tab.get_by_label("Precision")).to_have_value("bfloat16")
    expect(tab.locator("#hint-weight_type")).to_contain_text("Guessed, according to")
    look(tab, "check-refused")
    tab.get_by_label("Model", exact=True).fill("ada/good")
    tab.keyboard.press("Tab")
    expect(outcome).to_contain_text("ada/good would be accepted")
    look(tab, "check-accepted")
    shared = tab.url
    tab.goto("/")
    tab.goto(shared)
    expect(outcome).to_contain_text("ada/good would be accepted")


def test_a_model_that_was_typed_before_the_script_loaded_is_checked(tab: Page) -> None:
    """A model that a user typed before the form's script was loaded is checked once it is."""

    def late(route: Route) -> None:
        tab.get_by_label("Model", exact=True).fill("ada/good")
        route.continue_()

    tab.route("**/form.js*", late)
    tab.goto("/check")
    expect(tab.locator("#outcome")).to_contain_text("ada/good would be accepted")


def test_a_server_that_is_away_for_a_moment_is_asked_again(tab: Page) -> None:
    """If the server fails for a moment, during a check or after sending, the page says so and tries again."""
    outcome, away = tab.locator("#outcome"), "The server does not answer at the moment. This page tries again"

    def refused(route: Route) -> None:  # as a proxy does while the server restarts
        route.fulfill(status=502, content_type="text/html", body="<h1>Bad Gateway</h1>")

    def waiting(route: Route) -> None:
        answer = route.fetch()
        note = '<main><div id="outcome"><div data-again="1">It is being checked.</div></div></main>'
        route.fulfill(response=answer, body=re.sub(r"<main.*?</main>", note, answer.text(), flags=re.DOTALL))

    sign_in(tab, "ada", "/submit")
    tab.route("**/submit?model=*", refused)
    tab.get_by_label("Model", exact=True).fill("ada/pickled")
    tab.keyboard.press("Tab")
    expect(outcome).to_have_text(f"{away}; what you typed stays.")
    tab.unroute("**/submit?model=*", refused)
    expect(outcome).to_contain_text("ada/pickled would not be accepted")
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("heading", name="It was not submitted")).to_be_visible()
    tab.route("**/submit/sent?*", refused, times=1)
    tab.route("**/submit/sent?*", waiting, times=1)
    tab.reload()
    expect(outcome).to_have_text(f"{away}.")
    expect(tab.get_by_role("heading", name="It was not submitted")).to_be_visible()


def test_a_person_submits_a_good_and_a_bad_model(tab: Page) -> None:
    """A bad model is refused with the reason and the form is kept; a good one leads to the page of its request."""
    tab.goto("/submit")
    look(tab, "submit-signed-out")
    sign_in(tab, "ada", "/submit")
    tab.get_by_label("Model", exact=True).fill("ada/pickled")
    tab.keyboard.press("Tab")
    expect(tab.locator("#outcome")).to_contain_text("ada/pickled would not be accepted")
    expect(tab.get_by_role("radio", name="pretrained", exact=False).first).to_be_checked()
    look(tab, "submit-refused")
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("heading", name="It was not submitted")).to_be_visible()
    look(tab, "submit-not-sent")
    tab.get_by_role("link", name="Back to the form").click()
    expect(tab.get_by_label("Model", exact=True)).to_have_value("ada/pickled")
    tab.get_by_label("Model", exact=True).fill("ada/good")
    tab.keyboard.press("Tab")
    expect(tab.locator("#outcome")).to_contain_text("ada/good would be accepted")
    look(tab, "submit-accepted")
    tab.get_by_role("button", name="Submit", exact=True).dblclick()
    expect(tab.get_by_role("heading", level=1)).to_have_text("ada/good", timeout=120_000)
    assert "/requests/ada/good_eval_request_False_bfloat16_Original.json" in tab.url


def test_a_keyboard_without_a_script_is_enough(browser: Browser, site: SignInSite) -> None:
    """Without a script Enter shows the check of the model first; only the button submits it."""
    context = browser.new_context(base_url=site.url, viewport=DESK, java_script_enabled=False)
    page = context.new_page()
    sign_in(page, "bob", "/submit")
    page.get_by_label("Model", exact=True).focus()
    page.keyboard.type("ada/remote")
    page.keyboard.press("Enter")
    expect(page.locator("#outcome")).to_contain_text("ada/remote would not be accepted")
    expect(page.get_by_label("Precision")).to_have_value("bfloat16")
    page.get_by_role("button", name="Submit", exact=True).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="It was not submitted")).to_be_visible()
    context.close()


def test_a_maintainer_decides_by_buttons(tab: Page, site: SignInSite) -> None:
    """A maintainer holds and cancels a request on its page; another user who signs in sees no buttons there."""
    path = "ada/good_eval_request_False_8bit_Original.json"
    site.stand.submit("ada/good", path=path, precision="8bit")
    site.stand.context.mark("requests")
    wait_until(lambda: site.stand.context.index.get(path).state == "waiting", seconds=120)
    sign_in(tab, "bob", f"/requests/{path}")
    expect(tab.get_by_role("heading", level=1)).to_have_text("ada/good")
    expect(tab.get_by_text("What you can do")).to_have_count(0)
    tab.get_by_role("button", name="Sign out").click()
    sign_in(tab, "mia", f"/requests/{path}")
    tab.get_by_text("Hold the request").first.click()
    tab.get_by_label("Why, in a sentence that everyone can read", exact=True).fill("the licence is not clear")
    look(tab, "buttons")
    tab.get_by_role("button", name="Hold the request").dblclick()
    expect(tab.get_by_text("Done.")).to_be_visible()
    expect(tab.locator("#outcome")).to_contain_text("is on hold")
    look(tab, "button-pressed")
    tab.get_by_role("link", name="Back to the page").click()
    expect(tab.locator("#state")).to_contain_text("On hold by mia: the licence is not clear")
    tab.reload()
    tab.get_by_text("Cancel the request").first.click()
    tab.get_by_role("button", name="Cancel the request").focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_text("Done.")).to_be_visible()
    tab.goto("/threads-waiting")
    look(tab, "threads-waiting")
    tab.goto("/mine")
    look(tab, "mine")
