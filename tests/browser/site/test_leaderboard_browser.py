"""The leaderboard in headless Chromium: search, filters, columns, pins, shared addresses; also without a script.

`make long` runs all, `make test` leaves out what test_space_browser tests with the same script.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import redis
from playwright.sync_api import Browser, Page, expect

from benchmarks.board import fill
from redis_state.keys import Keys
from steward.testing.waiting import wait_until
from steward.valkey import Valkey
from tests.support.browser.served_site import ServedSite, serving

pytestmark = pytest.mark.browser
REQUESTS = 1_200


@pytest.fixture(scope="module")
def large(server: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedSite]:
    """A board with about a thousand evaluations."""

    def fill_board(connection: redis.Redis, keys: Keys) -> None:
        fill(connection, keys, REQUESTS)

    with serving(server, tmp_path_factory.mktemp("large"), "ranked", fill_board, suite="starter") as site:
        yield site


@pytest.fixture
def tab(browser: Browser, large: ServedSite) -> Iterator[Page]:
    """A new tab on the leaderboard; the browser reports no error."""
    context = browser.new_context(base_url=large.address)
    page = context.new_page()
    errors = list[str]()
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto("/")
    expect(page.locator("#rows tr.space")).to_have_count(2)
    yield page
    context.close()
    assert errors == []


def models(page: Page) -> list[str]:
    """The models of the rows that are drawn."""
    return page.locator("#rows th.model a").all_inner_texts()


def shown(page: Page) -> int:
    """The number of selected evaluations, as the page says."""
    return int(page.locator("#count").inner_text().split(" ")[0].replace(",", ""))


def test_filters_change_the_table_in_place_and_its_address(tab: Page, browser: Browser) -> None:
    """Filters change the table without a reload; the new address shows others the same rows; Back undoes a change."""
    tab.evaluate("window.same = true")
    every = shown(tab)
    tab.get_by_text("Filters", exact=True).click()
    tab.locator("[name=type][value=chat]").check()
    tab.get_by_label("Hide merges").check()
    tab.get_by_label("from", exact=True).fill("7")
    tab.locator("#q").fill("qwen3; llama; Hub License: mit")
    expect(tab).to_have_url(re.compile(r"q=qwen3.*smallest=7"))
    expect(tab.locator("#count")).not_to_contain_text(f"{every:,} of")
    assert tab.evaluate("window.same")
    assert all(re.search("qwen3|llama", name, re.IGNORECASE) for name in models(tab))
    with browser.new_context(java_script_enabled=False) as other:
        page = other.new_page()
        page.goto(tab.url)
        assert models(page) == models(tab)[: len(models(page))]
        assert shown(page) == shown(tab)
    tab.get_by_label("Scores as measured").check()
    expect(tab.get_by_text("Scores go from 0 to 100, as measured")).to_be_visible()
    tab.get_by_label("Scores as measured").uncheck()
    expect(tab.get_by_text("0, no better than guessing")).to_be_visible()
    tab.get_by_role("link", name="Reset").click()
    expect(tab.locator("#count")).to_contain_text(f"{every:,} of")
    tab.go_back()
    expect(tab.locator("#q")).to_have_value("qwen3; llama; Hub License: mit")
    expect(tab.get_by_label("Hide merges")).to_be_checked()
    expect(tab.locator("#count")).not_to_contain_text(f"{every:,} of")


def test_a_quick_filter_changes_nothing_else_and_can_be_switched_off(tab: Page) -> None:
    """A quick filter keeps the search, the pins and other quick filters; a second click removes it."""
    tab.locator("#rows [name=pin]").first.check()
    tab.locator("#q").fill("qwen3; llama")
    expect(tab).to_have_url(re.compile("q=qwen3"))
    consumers = tab.get_by_role("link", name="For consumers")
    consumers.click()
    expect(tab).to_have_url(re.compile("q=qwen3.*smallest=3&largest=7.*pin="))
    expect(consumers).to_have_attribute("aria-current", "true")
    tab.get_by_role("link", name="Official providers").click()
    expect(tab).to_have_url(re.compile("smallest=3&largest=7.*official=1"))
    tab.get_by_role("link", name="Mid-range").click()
    expect(tab).to_have_url(re.compile("smallest=7&largest=65.*official=1"))
    expect(consumers).not_to_have_attribute("aria-current", "true")
    tab.get_by_role("link", name="Mid-range").click()
    expect(tab).not_to_have_url(re.compile("smallest|largest"))
    expect(tab).to_have_url(re.compile("q=qwen3.*official=1.*pin="))


def test_columns_are_chosen_and_the_average_is_of_those_that_are_shown(tab: Page) -> None:
    """Hiding a benchmark removes its column and leaves it out of the average and the ranks."""
    first = models(tab)[0]
    tab.get_by_text("Columns", exact=True).click()
    for name in ("Navigation", "Web of Lies", "Hub ❤️"):
        tab.locator(".columns").get_by_label(name).uncheck()
    expect(tab.get_by_role("columnheader", name="Average of 4")).to_be_visible()
    expect(tab.get_by_role("columnheader", name="Navigation")).to_have_count(0)
    row = tab.locator("#rows tr:not(.space)").first
    scores = [float(text.split()[0]) for text in row.locator("td.score:not(.average)").all_inner_texts()]
    assert len(scores) == 4
    assert float(row.locator("td.average").inner_text().split()[0]) == pytest.approx(sum(scores) / 4, abs=0.01)
    assert models(tab)[0] != first


@pytest.mark.long("test_space_browser sorts with the same script")
def test_any_column_sorts_and_its_head_says_so(tab: Page) -> None:
    """A click on the head of a column sorts by it, best first; a second click reverses the order."""
    head = tab.get_by_role("columnheader", name="Word Sorting")
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    at = tab.locator("thead th").all_inner_texts().index("Word Sorting ▼")

    def values() -> list[float]:
        return [
            float(text.split()[0])
            for text in tab.locator(f"#rows tr:not(.space) td:nth-child({at + 1})").all_inner_texts()
        ]

    assert values() == sorted(values(), reverse=True)
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert values() == sorted(values())


def test_a_reader_scrolls_through_all_rows(tab: Page) -> None:
    """Rows load as they come into view; the last one has the last rank, and few are in the page at a time."""
    count = shown(tab)
    assert count > 900
    tab.evaluate("document.querySelector('.board').scrollTop = 1e9")
    expect(tab.locator("#rows td.rank").last).to_have_text(str(count))
    assert tab.locator("#rows tr").count() < 400
    tab.evaluate("document.querySelector('.board').scrollTop = 0")
    expect(tab.locator("#rows td.rank").first).to_have_text("1")


@pytest.mark.long("test_space_browser pins with the same script, and test_models_browser compares")
def test_three_models_are_pinned_and_compared(tab: Page) -> None:
    """Pinned rows stay on top whatever the filter, and are compared on a page to which models can be added."""
    names = models(tab)[:3]
    for name in names:
        tab.locator("#rows").get_by_label(f"Pin {name} to compare").check()
        expect(tab.locator("#pinned").get_by_role("link", name=name)).to_be_visible()
    tab.locator("#q").fill("no-such-model-at-all")
    expect(tab.locator("#outcome")).to_contain_text("Nothing was found")
    expect(tab.locator("#pinned tr")).to_have_count(3)
    tab.locator("#pinned").get_by_label(f"Pin {names[1]} to compare").click()
    expect(tab.locator("#pinned tr")).to_have_count(2)
    tab.get_by_role("link", name="Compare the pinned models").click()
    expect(tab.locator("thead th a").filter(has_text="/")).to_have_text([names[0], names[2]])
    expect(tab.locator("tbody tr").filter(has_text="Average").locator("br + small")).to_have_text(
        re.compile(r"^[-+][0-9.]+ ±[0-9.]+$")
    )
    tab.get_by_label("Add a model by its name").fill(names[1])
    tab.get_by_role("button", name="Add").click()
    expect(tab.locator("thead th a").filter(has_text="/")).to_have_text([names[0], names[2], names[1]])


@pytest.mark.parametrize("width", [1200, 360])
def test_an_address_of_a_page_leads_to_its_place_in_the_table(tab: Page, width: int) -> None:
    """The address of a later page, as used without a script, opens the table at its rows, which can be pinned."""
    tab.set_viewport_size({"width": width, "height": 740})
    tab.goto("/?page=3&sort=model&rising=1")
    expect(tab).to_have_url(re.compile(r"/\?sort=model&rising=1$"))
    row = tab.locator("#rows tr[aria-rowindex='82']")
    expect(row.locator("th.model a")).to_be_in_viewport()
    tab.mouse.move(100, 700)
    tab.mouse.wheel(0, 400)
    expect(row.locator("th.model a")).not_to_be_in_viewport()
    next_row = tab.locator("#rows tr[aria-rowindex='96']")
    next_row.locator("input").check()
    expect(tab.locator("#pinned th.model a")).to_have_text(next_row.locator("th.model a").inner_text())


def test_a_server_that_is_away_leaves_the_rows_of_the_page(browser: Browser, large: ServedSite) -> None:
    """If the table cannot be loaded, the page says so and keeps the rows that came with it."""
    with browser.new_context(base_url=large.address) as context:
        page = context.new_page()
        page.route("**/api/leaderboard?*", lambda route: route.abort())
        page.goto("/")
        expect(page.locator("#count")).to_contain_text("cannot be loaded")
        page.evaluate("document.querySelector('.board').scrollTop = 300")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert len(models(page)) == 40


def test_pins_stay_while_a_reader_sorts(tab: Page) -> None:
    """Sorting keeps the pinned rows in table and address; a row that was unpinned does not come back."""
    first, second = models(tab)[:2]
    for name in (first, second):
        tab.locator("#rows").get_by_label(f"Pin {name} to compare").check()
        expect(tab.locator("#pinned").get_by_role("link", name=name)).to_be_visible()
    head = tab.get_by_role("columnheader", name="Word Sorting")
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "descending")
    expect(tab.locator("#pinned th.model a")).to_have_text([first, second])
    assert tab.url.count("pin=") == 2
    tab.locator("#pinned").get_by_label(f"Pin {first} to compare").click()
    expect(tab.locator("#pinned tr")).to_have_count(1)
    head.get_by_role("link").click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    expect(tab.locator("#pinned th.model a")).to_have_text([second])
    assert tab.url.count("pin=") == 1


def test_a_pin_leaves_the_reader_at_the_same_rows(tab: Page) -> None:
    """Pinning a row does not scroll the table back to its beginning."""
    scroll = "document.querySelector('.board').scrollTop"
    tab.evaluate(f"{scroll} = 2000")
    tab.locator("#rows tr[aria-rowindex='60'] input").check()
    expect(tab.locator("#pinned tr")).to_have_count(1)
    assert tab.evaluate(scroll) > 1000


def test_a_model_that_is_not_here_can_be_submitted(tab: Page) -> None:
    """A name that is found nowhere leads to the check, and to the form once the Hub is known to have the model."""
    known = {"someone%2Fbrand-new-model": None, "someone%2Freal-model": True, "someone%2Fno-model": False}
    tab.route("**/check/exists?**", lambda it: it.fulfill(json={"exists": known[it.request.url.rpartition("=")[2]]}))
    tab.locator("#q").fill("someone/brand-new-model")
    ask = tab.get_by_role("link", name="Ask whether the Hub has such a model")
    expect(ask).to_have_attribute("href", "/check?model=someone%2Fbrand-new-model")
    assert tab.get_by_role("link", name="submit it").count() == 0
    tab.locator("#q").fill("someone/real-model")
    expect(tab.get_by_role("link", name="submit it")).to_have_attribute("href", "/submit?model=someone%2Freal-model")
    tab.locator("#q").fill("someone/no-model")
    expect(tab.get_by_text("The Hub has no public model of the name someone/no-model.")).to_be_visible()
    assert tab.get_by_role("link", name="submit it").count() == 0


@pytest.mark.long("test_space_browser searches with the same script")
def test_the_search_is_continued_while_typing(tab: Page) -> None:
    """The page suggests names of models and values of a column, and keeps the terms before."""
    tab.locator("#q").press_sequentially("gemma; Hub License: ap")
    expect(tab.locator("#suggestions option").first).to_have_attribute("value", "gemma; Hub License: apache-2.0")


def test_a_phone_shows_cards_of_one_height(tab: Page) -> None:
    """Each evaluation is a card; nothing is wider than the screen, and the next cards load while scrolling.

    A card is as high as what it shows, and shows every column that a reader chose.
    """
    tab.set_viewport_size({"width": 360, "height": 740})
    cards = tab.locator("#rows tr:not(.space)")
    expect(cards.first).to_be_visible()
    assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    boxes = [cards.nth(at).bounding_box() for at in range(3)]
    assert len({round(box["height"]) for box in boxes if box}) == 1
    assert tab.evaluate(
        "[...document.querySelectorAll('#rows tr')].every((one) => one.scrollHeight <= one.clientHeight)"
    )
    expect(tab.locator("#rows td.licence").first).to_be_hidden()
    tab.goto("/?column=model&column=rank&column=average&column=licence")
    expect(tab.locator("#rows td.licence").first).to_be_visible()
    scroll = "window.scrollTo(0, document.body.scrollHeight / 2)"
    first_rank = "document.querySelector('#rows td.rank')?.textContent"
    wait_until(lambda: tab.evaluate(f"() => {{ {scroll}; return {first_rank} }}") not in ("1", None))


@pytest.mark.long("test_site_browser uses pages without a script")
def test_without_a_script_the_table_has_pages(browser: Browser, large: ServedSite) -> None:
    """Without a script the form filters the table, and links sort it and turn its pages."""
    with browser.new_context(base_url=large.address, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/")
        page.get_by_role("link", name="Next →").click()
        expect(page.locator("#rows td.rank").first).to_have_text("41")
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("Only the best evaluation of each model").check()
        page.locator("#q").fill("Qwen3")
        page.get_by_role("button", name="Show").click()
        expect(page).to_have_url(re.compile("q=Qwen3"))
        assert all("Qwen3" in name for name in models(page))
        head = page.get_by_role("columnheader", name="Model", exact=False).filter(has_not_text="Base")
        head.get_by_role("link").click()
        expect(head).to_have_attribute("aria-sort", "ascending")
        assert models(page) == sorted(models(page), key=str.lower)
