"""The pages in headless Chromium: live queue, search, failures; with a keyboard, on a phone, without a script.

`make test` leaves out two races of the live pages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from leaderboard.categories import ModelCategory
from redis_state import clock
from redis_state.attempts import AttemptProgress, Attempts
from redis_state.board.index import Index
from steward.valkey import Valkey
from tests.support.browser.seeded_hostile_board import ATTEMPT as ATTACKED
from tests.support.browser.seeded_hostile_board import HOSTILE, attacked_pages, fill_with_attacks
from tests.support.browser.seeded_hostile_board import RUNNING as ATTACKED_PATH
from tests.support.browser.seeded_large_board import entry, path_of
from tests.support.browser.served_site import ServedSite, serving
from tests.support.browser.site_pages import FAILED, PAGES, RUNNING

pytestmark = pytest.mark.browser
LOG = re.compile(r"^https://huggingface\.co/datasets/open-llm-leaderboard/logs/blob/main/.+/log\.txt$")
ATTEMPT = f"{0:012x}-deadbeef-1"


@pytest.fixture
def tab(browser: Browser, rich: ServedSite) -> Iterator[Page]:
    """A new tab; no page may log an error to the browser's console."""
    context = browser.new_context(base_url=rich.address)
    page = context.new_page()
    complaints = list[str]()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert [complaint for complaint in complaints if "404 (Not Found)" not in complaint] == []


def test_the_queue_moves_by_itself(tab: Page, rich: ServedSite) -> None:
    """An open page of the queue updates its progress, lists and relative times."""
    tab.goto("/queue")
    expect(tab.locator("#live-state")).to_contain_text("Live")
    attempts, progress = Attempts(rich.redis, rich.keys), AttemptProgress("evaluate", 30_001, 35_210, 12_000)
    attempts.beat(ATTEMPT, progress, now=clock.now(), worker="gpu-0", path=path_of(RUNNING))
    expect(tab.locator("#running-list")).to_contain_text("30,001 of 35,210, 12,000 of them computed before")
    Index(rich.redis, rich.keys).put(entry("late/comer", "waiting", "PENDING", attempt="z", number=900))
    row = tab.locator("#waiting-list tr", has_text="late/comer")
    expect(row).to_be_visible()
    expect(tab.locator("#running-list time").first).to_have_attribute("data-far", re.compile("minutes ago"))
    Index(rich.redis, rich.keys).drop(path_of("late/comer"))
    expect(row).to_have_count(0)


def test_the_page_of_a_request_follows_it_to_its_end(tab: Page, rich: ServedSite) -> None:
    """When a request ends, its open page updates both the state at the top and the history below."""
    index = Index(rich.redis, rich.keys)
    index.put(entry("follow/me", "waiting", "PENDING", attempt="z", number=900))
    tab.goto(f"/requests/{path_of('follow/me')}")
    expect(tab.locator("#live-state")).to_contain_text("Live")
    index.put(entry("follow/me", "settled", "FINISHED", attempt="z", number=900))
    expect(tab.locator("#state .tag")).to_have_text("finished")
    expect(tab.locator("ol.past li").last).to_contain_text("finished")
    index.drop(path_of("follow/me"))


@pytest.mark.long("test_the_queue_moves_by_itself has the changes that are fetched at once")
def test_a_change_that_could_not_be_fetched_is_fetched_again(tab: Page, rich: ServedSite) -> None:
    """If fetching a change fails, the page tries again, although the server reports a change only once."""
    tab.goto("/queue")
    expect(tab.locator("#live-state")).to_contain_text("Live")
    tab.route(f"{rich.address}/queue", lambda route: route.fulfill(status=404), times=1)
    with tab.expect_response(lambda answer: answer.status == 404):
        Index(rich.redis, rich.keys).put(entry("missed/once", "waiting", "PENDING", attempt="z", number=900))
    expect(tab.locator("#waiting-list tr", has_text="missed/once")).to_be_visible(timeout=20_000)
    Index(rich.redis, rich.keys).drop(path_of("missed/once"))


def test_a_change_before_the_event_stream_opens_is_shown(tab: Page, rich: ServedSite) -> None:
    """A change between the rendering of a page and the opening of its event stream is shown."""

    def late(route: Route) -> None:
        Index(rich.redis, rich.keys).put(entry("early/bird", "waiting", "PENDING", attempt="z", number=900))
        route.continue_()

    tab.route(f"{rich.address}/events", late, times=1)
    tab.goto("/queue")
    expect(tab.locator("#waiting-list")).to_contain_text("early/bird")
    Index(rich.redis, rich.keys).drop(path_of("early/bird"))


@pytest.mark.long("test_the_queue_moves_by_itself has the lists that change")
def test_a_list_with_the_focus_is_updated_later(tab: Page, rich: ServedSite) -> None:
    """A list is not updated while a link in it has the focus, but once the focus is elsewhere."""
    tab.goto("/queue")
    expect(tab.locator("#live-state")).to_contain_text("Live")
    link = tab.locator("#waiting-list a").first
    link.focus()
    Index(rich.redis, rich.keys).put(entry("later/comer", "waiting", "PENDING", attempt="z", number=900))
    expect(tab.locator("#figures li", has_text="waiting").locator("b")).to_have_text("28")
    expect(link).to_be_focused()
    expect(tab.locator("#waiting-list")).not_to_contain_text("later/comer")
    tab.get_by_role("searchbox").focus()
    expect(tab.locator("#waiting-list")).to_contain_text("later/comer")
    Index(rich.redis, rich.keys).drop(path_of("later/comer"))


SEARCHES = [
    ("YI-34B;Mixtral-8x7B", ["01-ai/Yi-34B", "mistral-like/mixtral-8x7b"]),
    ("Hub License: bsd-3-clause ; mixtral", ["mistral-like/mixtral-8x7b"]),
    ("yi-34b", ["01-ai/Yi-34B"]),
    ("Hub License: BSD-3-Clause", ["01-ai/Yi-34B", "mistral-like/mixtral-8x7b"]),
    ("mixtral; Hub License: bsd-3-clause", ["mistral-like/mixtral-8x7b"]),
]


@pytest.mark.parametrize(("words", "found"), SEARCHES, ids=[words for words, _ in SEARCHES])
def test_search_finds_by_each_form_of_the_faq(tab: Page, rich: ServedSite, words: str, found: list[str]) -> None:
    """A search by names, a licence, or both in any order finds its models; the box keeps the query."""
    known = {"licence": "BSD-3-Clause", "category": ModelCategory.PRETRAINED.value}
    index = Index(rich.redis, rich.keys)
    index.put(entry("mistral-like/mixtral-8x7b", "settled", "FINISHED", number=801, **known))
    index.put(entry("01-ai/Yi-34B", "settled", "FINISHED", number=800, **known))
    tab.goto("/requests")
    tab.get_by_role("searchbox").fill(words)
    tab.get_by_role("button", name="Search").click()
    expect(tab.locator("tbody th a")).to_have_text(found)
    expect(tab.get_by_role("searchbox")).to_have_value(words)


def test_a_search_without_a_match_suggests_similar_names(tab: Page) -> None:
    """A misspelt model is answered with a link to a similar name, a misspelt column with the right one."""
    near = RUNNING.replace("OLMo", "OLMO-")
    tab.goto("/requests")
    tab.get_by_role("searchbox").fill(near)
    tab.keyboard.press("Enter")
    note = tab.get_by_role("status")
    expect(note).to_contain_text("Nothing was found")
    note.get_by_role("link", name=RUNNING).click()
    expect(tab.locator("tbody th").get_by_role("link", name=RUNNING)).to_be_visible()
    tab.goto("/?q=Licens:+mit")
    expect(tab.get_by_role("alert")).to_contain_text("Did you mean Hub License?")


def test_a_failed_request_shows_why(tab: Page) -> None:
    """The page of a failed request, linked by the queue, shows reason, advice, whose fault it was, history and log."""
    tab.goto("/queue")
    row = tab.locator("#failed-list tr", has_text=FAILED)
    expect(row).to_contain_text("The evaluation ran out of memory")
    row.get_by_role("link").first.click()
    expect(tab.get_by_role("heading", level=1)).to_have_text(FAILED)
    state = tab.locator("#state")
    for words in ("failed", "Why it failed", "2.0 GiB more", "larger machine", "The problem was on our side"):
        expect(state).to_contain_text(words)
    expect(tab.locator("ol.past li")).to_have_count(5)
    expect(tab.get_by_role("link", name="Log of the last attempt")).to_have_attribute("href", LOG)


def test_a_keyboard_is_enough(tab: Page) -> None:
    """With a keyboard a reader can skip the navigation; the controls follow in order, each with a visible focus."""
    tab.goto("/")
    tab.keyboard.press("Tab")
    expect(tab.get_by_role("link", name="Skip to the content")).to_be_focused()
    tab.keyboard.press("Enter")
    assert tab.evaluate("document.activeElement.id") == "content"
    tab.keyboard.press("Tab")
    expect(tab.locator("#q")).to_be_focused()
    tab.goto("/")
    tab.keyboard.press("Tab")
    order = list[str]()
    while not order or order[-1] != "Show":
        tab.keyboard.press("Tab")
        assert tab.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", order
        order.append(tab.evaluate("document.activeElement.name || document.activeElement.innerText"))
        assert len(order) < 30, order
    wanted = ["Open LLM Leaderboard", "Leaderboard", "Queue", "More", "q", "sort", "rising", "Show"]
    assert [name for name in order if name in wanted] == wanted
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", level=1)).to_have_text("Leaderboard")


def test_pages_fit_a_phone(tab: Page) -> None:
    """No page is wider than the screen of a phone; wide tables scroll by themselves."""
    tab.set_viewport_size({"width": 360, "height": 740})
    for path in PAGES.values():
        tab.goto(path)
        assert tab.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path


def test_pictures_are_drawn_at_the_size_of_the_window(tab: Page) -> None:
    """Charts load under the page's policy, in the size that fits the window; their figures can be shown as a table."""
    seen = """[...document.querySelectorAll('figure img')].map(
        (one) => [one.naturalWidth > 0, one.currentSrc.split('=').pop()])"""
    tab.goto("/times")
    assert tab.evaluate(seen) == [[True, "1080"]] * 4
    table = tab.get_by_role("table", name="Length of the queue")
    expect(table).to_be_hidden()
    tab.get_by_text("The figures as a table").last.click()
    expect(table).to_be_visible()
    tab.goto("/charts/waiting.svg")
    assert tab.evaluate("getComputedStyle(document.querySelector('text')).fontSize") == "14px", "its style is ignored"
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.goto("/times")
    assert tab.evaluate(seen) == [[True, "360"]] * 4


def test_pages_can_be_used_without_a_script(browser: Browser, rich: ServedSite) -> None:
    """Without a script the server renders the queue with its pages and progress, and the search."""
    context = browser.new_context(base_url=rich.address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/queue")
    expect(page.locator("#waiting-list tbody tr")).to_have_count(25)
    expect(page.locator("#running-list progress").first).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#waiting-list tbody td.number").first).to_have_text("26")
    page.get_by_role("searchbox").fill("Hub License: gemma")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr").first).to_be_visible()
    context.close()


def test_untrusted_text_is_shown_as_text_and_runs_nothing(
    browser: Browser, server: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Names, reasons, causes, titles and commands with attacks are shown as text, also when a page updates itself."""
    with serving(server, tmp_path_factory.mktemp("attacked"), "attacked", fill_with_attacks) as site:
        context = browser.new_context(base_url=site.address)
        page = context.new_page()
        alarms = list[str]()
        page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
        for path in attacked_pages():
            page.goto(path)
            assert page.locator("main img:not([src^='/badges/']), main script, [onerror], [style]").count() == 0, path
            assert page.locator("main", has_text=HOSTILE).count() or page.locator("#q").input_value() == HOSTILE, path
        page.goto("/queue")
        expect(page.locator("#live-state")).to_contain_text("Live")
        attempts, progress = Attempts(site.redis, site.keys), AttemptProgress(HOSTILE, 2, 3)
        attempts.beat(ATTACKED, progress, now=clock.now(), worker="w", path=ATTACKED_PATH)
        expect(page.locator("#running-list")).to_contain_text("2 of 3")
        Index(site.redis, site.keys).put(entry(HOSTILE, "waiting", "PENDING", path="late.json", attempt="z", number=9))
        expect(page.locator("#waiting-list tbody tr")).to_have_count(2)
        assert page.locator("main img, main script, [onerror], [style]").count() == 0
        assert alarms == []
        context.close()


def test_in_a_frame_links_to_the_hub_open_a_new_tab(browser: Browser, server: Valkey, tmp_path: Path) -> None:
    """In the frame of a Space links to the Hub open a new tab, and links to the board load inside the frame."""
    hub, ours = "https://hub.example", "https://board.example"
    with serving(server, tmp_path, "framed", framed_by=hub) as site, browser.new_context() as context:
        frame = f"<iframe src={ours}/flags width=900 height=700></iframe>"
        context.route(f"{hub}/**", lambda route: route.fulfill(content_type="text/html", body=frame))
        context.route(f"{ours}/**", lambda route: forward(route, site.address))
        context.route("https://huggingface.co/**", lambda route: route.fulfill(body="the Hub"))
        page = context.new_page()
        page.goto(hub)
        shown = page.frame_locator("iframe")
        with context.expect_page() as opened:
            shown.get_by_role("link", name="Write in the discussions").click()
        opened.value.wait_for_url("https://huggingface.co/**")
        shown.get_by_text("More").click()
        shown.get_by_role("link", name="Commands").click()
        expect(shown.get_by_role("heading", level=1)).to_have_text("Commands")
        assert len(context.pages) == 2
        context.unroute_all(behavior="ignoreErrors")  # icons and the like may be on their way still


def forward(route: Route, address: str) -> None:
    """Answer as the server at `address` does, under another name."""
    route.fulfill(response=route.fetch(url=address + urlsplit(route.request.url).path))
