"""Measures the leaderboard of a large board in headless Chromium: its first view, a filter, and the bytes of both.

    python -m benchmarks.browser [--rows 100000] [--rounds 10] [--json]

A web server runs in a process of its own, on a board of `--rows` requests. `first_view_ms` is the time from the
navigation until the rows are displayed and the script has started, in a browser without a cache; `filter_ms` that from
a change of a filter until the rows of the answer are drawn, without the 120 ms for which the page waits for further
typing; `transferred_kb` the compressed size of everything that the first view loads. All are medians of `--rounds`. The
targets are 1,000 ms, 100 ms and 60 kB.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.pages import WORDS, board
from bot.processes.web_app import create_app, server_config

TARGETS = {"first_view_ms": 1_000.0, "filter_ms": 100.0, "transferred_kb": 60.0}
READY = "#rows tr.space"
PAUSE_MS = 120.0
"""Milliseconds for which the page waits for further typing."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--chromium", default="/usr/bin/chromium", help="path of the browser")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    with serving(options.rows) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])
        figures = measure(browser, address, options.rounds)
        browser.close()
    for name, value in figures.items():
        print(f"{name:>16} {value:8.1f}   target {TARGETS[name]:,.0f}")
    if options.json:
        print(json.dumps(figures))


@contextmanager
def serving(rows: int) -> Iterator[str]:
    """Start the web server of a board with `rows` requests; yield its address once the table is ready."""
    with board(rows) as settings:
        app = create_app(settings)
        server = uvicorn.Server(server_config(app, settings))
        app.live.is_over = lambda: server.should_exit
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                thread.join(0.05)
            for other in threading.enumerate():
                if other.name == "warm":
                    other.join()
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def measure(browser: Browser, address: str, rounds: int) -> dict[str, float]:
    """The medians of some rounds; the first round only warms up."""
    dice, views, filters, sizes = random.Random(3), list[float](), list[float](), list[float]()
    for _ in range(rounds + 1):
        with browser.new_context(base_url=address) as context:
            page = context.new_page()
            sizes.append(transferred(page, dice, views, filters))
    return {
        "first_view_ms": round(statistics.median(views[1:]), 1),
        "filter_ms": round(statistics.median(filters[1:]), 1),
        "transferred_kb": round(statistics.median(sizes[1:]), 1),
    }


def transferred(page: Page, dice: random.Random, views: list[float], filters: list[float]) -> float:
    """Open the leaderboard and search in it; add both times, and return the kilobytes of the first view."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    received = list[float]()
    network.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    page.goto("/", wait_until="commit")
    page.locator(READY).nth(1).wait_for(state="attached")
    views.append(page.evaluate("performance.now()"))
    page.wait_for_load_state("networkidle")
    size = sum(received) / 1e3
    words = f"{dice.choice(WORDS).split(';')[0]}; Average: <= {dice.uniform(20, 90):.2f}"
    page.evaluate(
        """words => {
            window.drawn = new Promise((done) => new MutationObserver(() => done(performance.now()))
                .observe(document.getElementById('rows'), { childList: true }));
            const search = document.getElementById('q');
            search.value = words;
            window.began = performance.now();
            search.dispatchEvent(new Event('input', { bubbles: true }));
        }""",
        words,
    )
    filters.append(page.evaluate("window.drawn.then((end) => end - window.began)") - PAUSE_MS)
    return size


if __name__ == "__main__":
    main()
