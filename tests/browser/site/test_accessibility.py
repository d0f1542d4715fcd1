"""axe-core finds nothing serious on any page, light on a desktop and dark on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.browser.served_site import ServedSite
from tests.support.browser.site_pages import LIKE_ANOTHER, PAGES
from tests.support.long import long_except

pytestmark = pytest.mark.browser
ALL = {"resultTypes": ["violations"]}
OF_LOOKS = {**ALL, "runOnly": ["color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size"]}
"""The rules whose outcome depends on colours and width; names, roles and order are the same in all."""
SOME = {
    *("leaderboard", "queue", "seasons", "commands", "about", "mine", "requests-failed", "request-waiting", "missing"),
}
"""The pages that `make test` checks."""
DESK, PHONE = ViewportSize(width=1200, height=800), ViewportSize(width=360, height=740)


@pytest.fixture(scope="module")
def tab(browser: Browser, rich: ServedSite) -> Iterator[Page]:
    """One tab for all pages."""
    context = browser.new_context(base_url=rich.address, reduced_motion="reduce")
    yield context.new_page()
    context.close()


@pytest.mark.parametrize(
    "name", long_except(SOME, [name for name in PAGES if name not in LIKE_ANOTHER], "pages of the same parts")
)
def test_axe_finds_no_serious_fault(tab: Page, name: str) -> None:
    """axe-core finds no serious fault in light on a desktop, nor one of colour or width in dark on a phone."""
    look(tab, DESK, "light")
    tab.goto(PAGES[name])
    assert faults(tab, ALL) == []
    look(tab, PHONE, "dark")
    assert faults(tab, OF_LOOKS) == [], "dark, on a phone"


def test_axe_finds_what_is_wrong(tab: Page) -> None:
    """axe-core finds a picture without text and text of low contrast, so that the tests above can fail."""
    look(tab, DESK, "light")
    tab.goto("/flags")
    tab.evaluate("document.querySelector('.brand img').removeAttribute('alt')")
    tab.evaluate("document.querySelector('main p').style.color = '#bbb'")
    assert [fault.partition(":")[0] for fault in faults(tab, ALL)] == ["color-contrast", "image-alt"]


def look(tab: Page, size: ViewportSize, colours: Literal["light", "dark"]) -> None:
    """Set the size and the colour scheme of the tab."""
    tab.set_viewport_size(size)
    tab.emulate_media(color_scheme=colours, reduced_motion="reduce")


def faults(tab: Page, options: dict[str, object]) -> list[str]:
    """The serious and critical violations, with what they are about."""
    violations = Axe().run(tab, options=options).response["violations"]
    return [
        f"{violation['id']}: {', '.join(str(node['target'][0]) for node in violation['nodes'][:3])}"
        for violation in violations
        if violation["impact"] in ("serious", "critical")
    ]
