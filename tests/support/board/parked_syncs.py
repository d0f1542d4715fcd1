"""A board that people sign in to, its parked syncs, the button that wakes one, and the recorded decisions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import redis

from bot.probe import Probe
from redis_state import clock
from redis_state.parking import ParkedSync
from steward.valkey import Valkey
from tests.support.board.sign_in import Browser, SignInSite, signing

HOSTILE = "<script>alert(1)</script>"
NUMBERS = itertools.count()


@contextmanager
def opened_site(folder: Path, valkey: Valkey, probe: Probe) -> Iterator[SignInSite]:
    """A running board that people sign in to, on this queue server, which is emptied."""
    with (
        redis.Redis.from_url(valkey.url) as connection,
        signing(folder, connection, valkey.url, probe) as opened,
    ):
        yield opened


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
