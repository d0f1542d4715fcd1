"""A headless Chromium for the tests that look at pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.support.browser.chromium import CHROMIUM, ENVIRONMENT, OPTIONS

expect.set_options(timeout=30_000)  # milliseconds until what is expected is shown, on the busiest of machines


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; without one these tests are skipped.

    For this folder and no longer: until it is closed Playwright keeps an event loop running in this thread, and a test
    elsewhere that calls `asyncio.run` would fail.
    """
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed on this machine")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=OPTIONS, env=ENVIRONMENT)
        yield running
        running.close()
