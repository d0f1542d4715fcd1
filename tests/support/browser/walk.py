"""Walks through a real board in a browser as users do, and saves a picture of each step for people to look at.

    python -m tests.support.browser.walk FOLDER

It starts the demo's Hub, bot and worker with four evaluated models; then a reader finds, filters and compares models,
a person submits a good and a bad one, and a maintainer approves, relaunches, flags and unflags. Each step is
`FOLDER/{number}-{step}.png`. Afterwards come the pages in light and dark, on a phone, at 200 % zoom and without
JavaScript, with the faults that axe-core finds on each, and a walk through the leaderboard by keyboard. It takes ten
minutes on two busy cores.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, expect, sync_playwright

from steward.demo.models import CORRUPTED, GOOD, REMOTE_CODE
from steward.demo.stage import Stage
from steward.demo.world import MAINTAINER
from steward.testing.waiting import wait_until
from tests.support.browser.chromium import CHROMIUM, OPTIONS
from tests.support.browser.walked_board import CHAT, MERGE, NEW, PLAIN, PULLED, ended, submit, walked_board
from tests.support.browser.walked_looks import looks

PATIENCE = 300_000
"""Milliseconds that an evaluation, or what follows it, may take on a busy machine."""


class Walkthrough:
    """The steps so far: each has a number, a picture, and the seconds that it took."""

    def __init__(self, browser: Browser, site: str, folder: Path) -> None:
        self.browser, self.site, self.folder = browser, site, folder
        self.number, self.since = 0, time.monotonic()

    def see(self, page: Page, name: str, words: str = "") -> None:
        """Take the picture of a step and print its line."""
        self.number += 1
        page.screenshot(path=self.folder / f"{self.number:02}-{name}.png", full_page=True)
        now = time.monotonic()
        print(f"{self.number:02} {name}: {now - self.since:.1f} s. {words}", flush=True)
        self.since = now

    @contextmanager
    def person(self, name: str = "", start: str = "/") -> Iterator[Page]:
        """Yield a fresh browser on the page `start`, signed in as `name`; fail on its errors except 401, 403, 404."""
        context = self.browser.new_context(base_url=self.site, viewport={"width": 1200, "height": 800})
        page, errors = context.new_page(), list[str]()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_default_timeout(60_000)
        if name:
            sign_in(page, name, start)
        else:
            page.goto(start)
        yield page
        context.close()
        assert [error for error in errors if not re.search(r"status of 40[134]", error)] == []


def sign_in(page: Page, name: str, start: str) -> None:
    """Sign in with the Hub as `name` and come back to the page `start`."""
    page.goto(f"/signin?next={quote(start, safe='')}")
    page.get_by_role("button", name=f"Authorize as {name}").click()


def main() -> None:
    """Walk through the board, and print where the pictures are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=PATIENCE)
    with (
        tempfile.TemporaryDirectory(prefix="steward-walk-") as place,
        walked_board(Path(place)) as stage,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        walk = Walkthrough(browser, stage.web_url, folder)
        read(walk)
        take_part(walk)
        decide(walk, stage)
        watch(walk)
        looks(walk.browser, stage.web_url, folder)
        browser.close()
    print(f"The pictures are in {folder.resolve()}")


def read(walk: Walkthrough) -> None:
    """Find models, filter, choose columns, sort, compare three models, and open the address in another browser."""
    with walk.person() as page:
        expect(page.locator("#rows th.model")).to_have_count(4)
        walk.see(page, "first-view")
        page.locator("#q").press_sequentially("tiny; Hub License: m")
        expect(page.locator("#suggestions option").first).to_have_attribute("value", "tiny; Hub License: mit")
        page.locator("#q").fill("tiny; Hub License: mit")
        expect(page.locator("#rows th.model")).to_have_count(1)
        walk.see(page, "searched")
        page.locator("#q").fill("")
        page.get_by_text("Filters", exact=True).click()
        page.locator("[name=type][value=chat]").check()
        page.locator("[name=type][value=pretrained]").check()
        page.locator("[name=precision][value=float32]").check()
        page.get_by_label("Largest size").focus()
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#rows").get_by_role("link", name=MERGE)).to_have_count(0)
        walk.see(page, "filtered")
        page.get_by_text("Filters", exact=True).click()
        page.get_by_text("Columns", exact=True).click()
        for name in ("Precision", "Hub License", "Base model"):
            page.locator(".columns").get_by_label(name, exact=True).check()
        page.locator(".columns").get_by_label("Boolean Expressions", exact=True).uncheck()
        expect(page.get_by_role("columnheader", name="Average of 2")).to_be_visible()
        walk.see(page, "columns-chosen")
        page.get_by_text("Columns", exact=True).click()
        head = page.get_by_role("columnheader", name="Object Counting")
        head.get_by_role("link").click()
        expect(head).to_have_attribute("aria-sort", "descending")
        walk.see(page, "sorted")
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("Scores as measured").check()
        page.get_by_text("Filters", exact=True).click()
        expect(page.locator("[data-raw='1']")).to_be_visible()
        walk.see(page, "raw-scores")
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("Scores as measured").uncheck()
        page.get_by_text("Filters", exact=True).click()
        for model in (GOOD, CHAT, PLAIN):
            page.locator("#rows").get_by_label(f"Pin {model} to compare").check()
            expect(page.locator("#pinned th").get_by_role("link", name=model)).to_be_visible()
        walk.see(page, "pinned")
        shared, rows = page.url, page.locator("#rows th.model a").all_inner_texts()
        with walk.person(start=shared) as other:
            expect(other.locator("#rows th.model a")).to_have_text(rows)
            expect(other.locator("#pinned tr")).to_have_count(3)
            walk.see(other, "shared-address", shared)
        page.get_by_role("link", name="Compare the pinned models").click()
        expect(page.locator("thead th a").filter(has_text="/")).to_have_text([GOOD, CHAT, PLAIN])
        walk.see(page, "compared")
        page.goto("/")
        with page.expect_download() as file:
            page.get_by_role("link", name="CSV").click()
        walk.see(page, "csv", file.value.path().read_text().splitlines()[0])
        page.goto(f"/?q={quote(NEW)}")
        walk.see(page, "not-evaluated-yet")
        page.get_by_role("link", name="submit it").click()
        walk.see(page, "submit-signed-out")


def take_part(walk: Walkthrough) -> None:
    """Submit a bad and a good model by the form, follow the good one to its row in the table."""
    with walk.person(start="/submit") as page:
        page.get_by_role("link", name="Sign in and submit").click()
        walk.see(page, "hub-sign-in")
        page.get_by_role("button", name="Authorize as ada").click()
        expect(page.get_by_label("Model", exact=True)).to_be_visible()
        walk.see(page, "form")
        page.get_by_label("Model", exact=True).fill(REMOTE_CODE)
        page.keyboard.press("Tab")
        expect(page.locator("#outcome")).to_contain_text("would not be accepted")
        walk.see(page, "bad-model")
        page.get_by_role("button", name="Submit", exact=True).click()
        expect(page.get_by_role("heading", name="It was not submitted")).to_be_visible()
        walk.see(page, "bad-model-submitted")
        page.get_by_role("link", name="Back to the form").click()
        page.get_by_label("Model", exact=True).fill(NEW)
        page.keyboard.press("Tab")
        expect(page.locator("#outcome")).to_contain_text("would be accepted")
        walk.see(page, "good-model")
        page.get_by_role("button", name="Submit", exact=True).dblclick()
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(f"(Your submission of )?{NEW}"))
        walk.see(page, "submitted")
        expect(page.get_by_role("heading", level=1)).to_have_text(NEW)
        walk.see(page, "followed")
        expect(page.locator("#state .tag")).to_have_text(re.compile("finished", re.IGNORECASE))
        walk.see(page, "finished-live")
        page.goto("/mine")
        walk.see(page, "my-submissions")
        page.goto("/?sort=submitted")
        expect(page.locator("#rows").get_by_role("link", name=NEW)).to_be_visible()
        walk.see(page, "in-the-table")
        page.get_by_role("link", name=NEW).click()
        walk.see(page, "model")


def decide(walk: Walkthrough, stage: Stage) -> None:
    """Approve a pull request, relaunch a failed request, flag a model and lift the flag, as a maintainer."""
    submit(stage, PULLED, "main", outsider="chen")
    with walk.person(MAINTAINER, "/threads-waiting") as page:
        wait_until(lambda: page.reload() and page.get_by_text("Approve").count(), seconds=300, interval=1.0)
        walk.see(page, "waits-for-approval")
        page.get_by_text("Approve").first.click()
        page.get_by_role("button", name="Approve").click()
        expect(page.get_by_text("Done.")).to_be_visible()
        walk.see(page, "approved")
        page.goto("/requests?state=failed")
        page.get_by_role("link", name=CORRUPTED).click()
        walk.see(page, "failed-for-a-maintainer")
        press(page, "Relaunch it")
        walk.see(page, "relaunched")
        wait_until(lambda: ended(stage, "FINISHED") == 6, seconds=600, interval=1.0)
        page.goto(f"/models/{MERGE}")
        page.get_by_role("link", name="float32").first.click()
        press(page, "Flag the model", category="merge", reason="its card does not name the models it was merged from")
        walk.see(page, "flagged")
        page.goto("/flags")
        wait_until(lambda: page.reload() and page.get_by_text("Lift the flag").count(), seconds=300, interval=1.0)
        walk.see(page, "flags")
        page.goto(f"/models/{MERGE}")
        walk.see(page, "flagged-model")
        page.goto("/flags")
        press(page, "Lift the flag", reason="the card names them now")
        walk.see(page, "lifted")
        page.goto("/decisions")
        walk.see(page, "decisions")


def press(page: Page, label: str, *, category: str = "", reason: str = "") -> None:
    """Open the form of a button, give what it needs, and press it."""
    page.locator("summary", has_text=label).first.click()
    if category:
        page.get_by_label("What is wrong").select_option(category)
    if reason:
        page.get_by_label("Why, in a sentence").first.fill(reason)
    page.get_by_role("button", name=label).first.click()
    expect(page.get_by_text("Done.")).to_be_visible()


def watch(walk: Walkthrough) -> None:
    """As a user without rights, signed in or not, see no button for a command that the board would refuse."""
    for name in ("", "chen"):
        who = name or "signed-out"
        with walk.person(name) as page:
            for title, path in {
                "requests": "/requests?state=failed",
                "threads-waiting": "/threads-waiting",
                "flags": "/flags",
                "mine": "/mine",
                "maintain": "/maintain",
                "model": f"/models/{MERGE}",
            }.items():
                page.goto(path)
                if title == "requests":
                    page.get_by_role("link", name=CORRUPTED).click()
                assert page.locator("form[action='/act']").count() == 0, path
                walk.see(page, f"{who}-{title}")


if __name__ == "__main__":
    main()
