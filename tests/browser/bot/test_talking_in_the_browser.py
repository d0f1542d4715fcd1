"""A person writes commands in a thread's page, in headless Chromium, and sees the bot's answers appear."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from playwright.sync_api import Browser, Page, expect

from bot.probe import Probe
from leaderboard.attempts import Failure
from steward.testing.board import REQUESTS, BoardDriver
from steward.testing.hub import board_world, open_board
from steward.testing.running import delivering_webhooks, syncing
from steward.testing.waiting import wait_until

pytestmark = pytest.mark.browser
BROKEN = Failure(
    cause="weights-not-finite",
    fault="submission",
    message="The model's weights contain NaN or infinite values.",
    advice="Look at the checkpoint that was uploaded.",
)
SECONDS = 30


@pytest.fixture
def board(tmp_path: Path, connection: redis.Redis, valkey_url: str, probe: Probe) -> Iterator[BoardDriver]:
    """A board that runs, with a request of Ada's that failed."""
    with open_board(board_world(), tmp_path / "hub", connection, probe, BoardDriver) as stand:
        form = stand.context.hub.user("form").id
        stand.context.board = stand.context.board.model_copy(update={"front_ends": (form,)})
        stand.worker()
        path = stand.submit("ada/good", sender="ada")
        stand.settle()
        (job,) = stand.queued()
        stand.take(job)
        stand.end(job, failure=BROKEN)
        stand.settle()
        stand.context.workers.leave("w")
        assert stand.file(path)["status"] == "FAILED"
        with delivering_webhooks(stand, tmp_path, valkey_url), syncing(stand):
            yield stand


@pytest.fixture
def page(browser: Browser, board: BoardDriver) -> Iterator[Page]:
    """The thread of that request, opened by a person."""
    browser_context = browser.new_context(base_url=board.hub.url, viewport={"width": 1200, "height": 900})
    tab = browser_context.new_page()
    number = board.context.index.get("ada/good_eval_request_False_float32_Original.json").thread
    tab.goto(f"/datasets/{REQUESTS}/discussions/{number}")
    yield tab
    browser_context.close()


def write(page: Page, who: str, text: str) -> None:
    """Write a comment in the box below the thread."""
    page.get_by_label("Write a comment").fill(text)
    page.locator("#reply").get_by_label("Account to act as").select_option(who)
    with page.expect_navigation():  # otherwise a reload could interrupt it, or fail
        page.get_by_role("button", name="Comment").click()


def answered(page: Page, text: str, *, seconds: float = SECONDS) -> None:
    """Reload the page until it shows `text`."""

    def appears() -> bool:
        page.reload()
        return page.get_by_text(text).count() > 0

    wait_until(appears, seconds=seconds, describe=text)
    expect(page.get_by_text(text).first).to_be_visible()


def test_a_person_asks_for_the_status_and_relaunches(page: Page, board: BoardDriver) -> None:
    """`/status` shows the reason of a failure; `/relaunch` is refused to others, and queues the submitter's request."""
    expect(page.get_by_role("heading", name="Failed")).to_be_visible()
    write(page, "bob", "/status")
    answered(page, "failed: The model's weights contain NaN or infinite values.")
    write(page, "bob", "/relaunch")
    answered(page, "can use /relaunch")
    write(page, "ada", "/relaunch")
    answered(page, "will be evaluated again")
    answered(page, "Waiting for its turn")
    if pictures := os.environ.get("STEWARD_SCREENSHOTS"):
        page.screenshot(path=Path(pictures) / "talking.png", full_page=True)
    assert board.file("ada/good_eval_request_False_float32_Original.json")["status"] == "RERUN"
