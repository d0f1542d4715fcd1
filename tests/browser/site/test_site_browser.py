"""The pages in headless Chromium: they follow the queue by themselves, fit a phone, and obey their own policy."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import uvicorn
from playwright.sync_api import Browser, expect, sync_playwright

from bot.app import create_app, server_config
from bot.index import Index
from bot.settings import BotSettings
from steward.valkey import Valkey
from wire import clock
from wire.attempts import Attempts, Progress
from wire.keys import Keys

sys.path.append(str(Path(__file__).parents[2] / "integration" / "bot"))
from bot_kit import BOARD, SECRET
from site_kit import entry, furnish, path_of

pytestmark = pytest.mark.browser
KEYS = Keys("demo")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATHS = ("/", "/results", "/requests", "/flags", "/workers", "/commands", f"/requests/{path_of('north/spruce-3b')}")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without one these tests are skipped. For this module alone: it keeps an event loop running."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed on this machine")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield running
        running.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, redis.Redis]]:
    """The address of a board in the middle of its day, and its queue server."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "board.yaml").write_text(BOARD)
    with Valkey(folder / "valkey") as valkey, redis.Redis.from_url(valkey.url) as client:
        furnish(client, KEYS)
        settings = BotSettings(redis_url=valkey.url, board=folder / "board.yaml", webhook_secret=SECRET, port=0)
        app = create_app(settings)
        server = uvicorn.Server(server_config(app, settings))
        app.live.is_over = lambda: server.should_exit
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", client
        finally:
            server.should_exit = True
            thread.join()


def test_the_queue_moves_by_itself(browser: Browser, site: tuple[str, redis.Redis]) -> None:
    """Progress and lists change under the eyes of whoever looks; the browser complains of nothing."""
    address, client = site
    page = browser.new_page()
    complaints = list[str]()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(address)
    expect(page.locator("#live-state")).to_contain_text("Live")
    attempt = f"{0:012x}-deadbeef-1"
    Attempts(client, KEYS).beat(attempt, Progress("evaluate", 500, 540), now=clock.now())
    expect(page.locator("#running-list")).to_contain_text("500 of 540", timeout=15_000)
    Index(client, KEYS).put(entry("late/comer", "waiting", "PENDING", attempt="z", number=-1))
    expect(page.locator("#waiting-list")).to_contain_text("late/comer", timeout=15_000)
    assert complaints == []
    page.close()


def test_pages_can_be_used_without_a_script_by_keyboard_on_a_phone(
    browser: Browser, site: tuple[str, redis.Redis]
) -> None:
    """Nothing is wider than the screen; the first key leads past the navigation; a search is a form."""
    context = browser.new_context(java_script_enabled=True, viewport={"width": 360, "height": 740})
    page = context.new_page()
    for path in PATHS:
        page.goto(site[0] + path)
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth"), path
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    context.close()
    plain = browser.new_context(java_script_enabled=False)
    page = plain.new_page()
    page.goto(site[0])
    page.get_by_role("searchbox").fill("Hub License: cc-by-sa-4.0")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="chen/juniper-0.5b")).to_be_visible()
    plain.close()
