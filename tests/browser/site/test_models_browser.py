"""A model's page and the plots in headless Chromium: at a desk, zoomed, on a phone, and without a script."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser.seeded_large_board import LONG
from tests.support.browser.served_site import ServedSite

pytestmark = pytest.mark.browser
MODEL = f"/models/{quote(LONG)}"
CELLS = [(path, width) for width in (360, 600, 1200) for path in (MODEL, "/plots", "/plots?by=time")]


@pytest.fixture
def tab(browser: Browser, rich: ServedSite) -> Iterator[Page]:
    """A new tab without script; the browser reports no error."""
    context = browser.new_context(base_url=rich.address, java_script_enabled=False)
    page, errors = context.new_page(), list[str]()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield page
    context.close()
    assert errors == []


def test_the_way_from_a_plot_to_a_model_and_on_to_a_comparison(tab: Page) -> None:
    """By keyboard alone a reader filters a plot by type, opens its first model and compares that."""
    tab.goto("/")
    tab.get_by_text("More", exact=True).press("Enter")
    tab.get_by_role("link", name="Plots").press("Enter")
    expect(tab.get_by_role("heading", name="Plots")).to_be_visible()
    tab.get_by_role("link", name="Over time").press("Enter")
    tab.get_by_label("Type of the models").select_option("chat")
    tab.get_by_role("button", name="Show").press("Enter")
    expect(tab.get_by_role("img", name="Average by date of submission, chat models")).to_be_visible()
    first = tab.locator("tbody th a").first
    name = first.inner_text()
    first.press("Enter")
    expect(tab.get_by_role("heading", name=name, level=1)).to_be_visible()
    tab.get_by_role("link", name="Compare with…").press("Enter")
    expect(tab.get_by_role("columnheader", name=name)).to_be_visible()


@pytest.mark.parametrize(("path", "width"), CELLS, ids=lambda value: {MODEL: "model"}.get(value, str(value)))
def test_nothing_is_wider_than_the_window_and_every_picture_loads(
    browser: Browser, rich: ServedSite, path: str, width: int
) -> None:
    """Pages fit windows of three widths, and their pictures load; `make test` runs a sample of pages and widths."""
    context = browser.new_context(base_url=rich.address, viewport={"width": width, "height": 700})
    page = context.new_page()
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    pictures = page.locator("main img")
    assert pictures.count() >= 1
    page.wait_for_function("[...document.querySelectorAll('main img')].every(one => one.naturalWidth > 0)")
    context.close()
