"""A board that people sign in to, its parked syncs, the button that wakes one, and the recorded decisions."""

from __future__ import annotations

import itertools
from typing import Any

import httpx2

from redis_state import clock
from redis_state.parking import ParkedSync
from tests.support.board.sign_in import Browser, SignInSite

HOSTILE = "<script>alert(1)</script>"
NUMBERS = itertools.count()


def park(site: SignInSite, key: str, error: str = f"ValueError: {HOSTILE}") -> str:
    """Park the sync of `key`."""
    site.stand.context.parking.park(ParkedSync(key=key, error=error, tries=8, since=clock.now() - 60))
    return key


def is_parked(site: SignInSite, key: str) -> bool:
    """Whether the sync of `key` is parked."""
    return any(parked_sync.key == key for parked_sync in site.stand.context.parking.all())


def click(browser: Browser, key: str, **form: str) -> httpx2.Response:
    """Press the button beside `key`, and return the page that follows."""
    response = browser.post("/maintain/parked/wake", data={"csrf": browser.form_token, "key": key, **form})
    return browser.get(response.headers["location"]) if response.status_code == 303 else response


def wakes(site: SignInSite, person: str) -> list[dict[str, Any]]:
    """Return the recorded decisions of a person."""
    decisions = httpx2.get(f"{site.url}/api/decisions", timeout=30).json()["decisions"]
    return [decision for decision in decisions if decision["person"] == person]
