"""A maintainer signs in with the Hub and wakes a parked sync, in headless Chromium; axe-core checks the pages."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from bot.probe import Probe
from redis_state import clock
from redis_state.parking import ParkedSync
from steward.testing.board import SECRET
from steward.valkey import Valkey
from tests.support.board.sign_in import SignInSite, signing
from tests.support.long import long_except

pytestmark = pytest.mark.browser
PARKED = ParkedSync(
    key="unhandled:key", error="ValueError: <b>the file</b> cannot be read", tries=8, since=clock.now() - 7_200
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey, probe: Probe) -> Iterator[SignInSite]:
    """A running board with a parked sync."""
    with (
        redis.Redis.from_url(valkey.url) as connection,
        signing(tmp_path_factory.mktemp("maintaining"), connection, valkey.url, probe) as made,
    ):
        made.stand.context.parking.park(PARKED)
        yield made


@pytest.fixture
def page(browser: Browser, site: SignInSite) -> Iterator[Page]:
    """The first page, without a session."""
    browser_context = browser.new_context(base_url=site.url, viewport={"width": 1200, "height": 800})
    tab = browser_context.new_page()
    tab.goto("/")
    yield tab
    browser_context.close()


def shoot(page: Page, name: str) -> None:
    """Take a picture of the page, if STEWARD_SCREENSHOTS names a folder for it."""
    if pictures := os.environ.get("STEWARD_SCREENSHOTS"):
        page.screenshot(path=Path(pictures) / f"{name}.png")


def test_a_maintainer_signs_in_and_wakes_a_parked_sync(page: Page, site: SignInSite) -> None:
    """A maintainer signs in with the Hub, wakes a parked sync, finds this in the record of decisions, and signs out."""
    blocked: list[str] = []
    page.on(
        "console", lambda message: blocked.append(message.text) if "Content Security Policy" in message.text else None
    )
    page.get_by_role("link", name="Sign in").click()
    expect(page.get_by_role("heading", name="Sign in to Demo")).to_be_visible()
    shoot(page, "hub-sign-in")
    page.get_by_role("button", name="Authorize as mia").click()
    expect(page).to_have_url(f"{site.url}/")
    page.get_by_role("link", name="Maintain", exact=True).click()
    row = page.get_by_role("row", name=PARKED.key)
    expect(row).to_contain_text(PARKED.error)
    shoot(page, "maintain-parked")
    row.get_by_role("button", name=f"Wake {PARKED.key}").click()
    expect(page.get_by_role("status").first).to_contain_text("Woken: the sync is retried at once")
    expect(page.get_by_text("Nothing is parked.")).to_be_visible()
    page.get_by_role("link", name="record of decisions").click()
    expect(page.get_by_role("row", name=re.compile("mia"))).to_contain_text(f"wake {PARKED.key}")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    page.goto("/maintain/parked")
    expect(page.get_by_role("heading", name="Please sign in")).to_be_visible()
    assert blocked == []
    assert site.stand.context.parking.all() == []


@pytest.mark.parametrize(
    ("who", "name"),
    long_except(
        {"mia parked", "mia inbox/one", "bob parked"},
        [*(("mia", name) for name in ("parked", "inbox", "inbox/one", "unknown", "inbox/none")), ("bob", "parked")],
        "pages of the same parts",
        name=" ".join,
    ),
)
def test_axe_finds_no_serious_fault(browser: Browser, site: SignInSite, who: str, name: str) -> None:
    """axe-core finds no serious fault for maintainers and others, light on a desktop and dark on a phone."""
    site.stand.context.parking.park(PARKED)
    body = {"event": {"action": "update", "scope": "repo.content"}, "repo": {"name": "somebody/" + "long-name-" * 9}}
    httpx2.post(f"{site.url}/webhooks/hub", json=body, headers={"x-webhook-secret": SECRET, "webhook-id": "one"})
    browser_context = browser.new_context(base_url=site.url, reduced_motion="reduce")
    tab = browser_context.new_page()
    tab.goto("/signin")
    tab.get_by_role("button", name=f"Authorize as {who}").click()
    tab.set_viewport_size({"width": 1200, "height": 800})
    tab.emulate_media(color_scheme="light", reduced_motion="reduce")
    tab.goto(f"/maintain/{name}")
    assert faults(tab) == []
    shoot(tab, f"maintain-{name.replace('/', '-')}-{who}-light")
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert faults(tab) == [], "dark, on a phone"
    assert tab.evaluate("document.documentElement.scrollWidth") <= 360
    shoot(tab, f"maintain-{name.replace('/', '-')}-{who}-phone")
    browser_context.close()


def faults(tab: Page) -> list[str]:
    """The serious and critical violations that axe-core finds."""
    violations = Axe().run(tab, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{violation['id']}: {violation['nodes'][0]['target']}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ]


def test_signing_in_leads_back_to_a_page_that_is_for_maintainers(page: Page) -> None:
    """A user who signs in comes back to the page they opened, which is for maintainers; a denial leads to a note."""
    page.goto("/maintain/inbox")
    page.get_by_role("link", name="Sign in with the Hub").click()
    page.get_by_role("button", name="Authorize as bob").click()
    expect(page.get_by_role("heading", name="This is for maintainers")).to_be_visible()
    assert page.url.endswith("/maintain/inbox")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("heading", name="You were not signed in")).to_be_visible()
