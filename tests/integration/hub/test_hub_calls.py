"""The budget of calls, against a Hub that counts them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.budget import Urgency, urgency
from hub.client import Hub
from hub.errors import RateLimited
from hub.records import Repo
from localhub.clock import Clock
from localhub.testing import HubWorld, LocalHub
from tests.support.hub.scripted_server import QUICK

WORLD = HubWorld().user("ada").datasets("ada/requests")
REPO = Repo("dataset", "ada/requests")


@pytest.fixture
def local_hub(tmp_path: Path) -> Iterator[LocalHub]:
    """A Hub that gives each account twenty calls in five minutes."""
    in_the_middle_of_a_window = Clock("1800000150,0")
    with LocalHub(tmp_path, WORLD, clock=in_the_middle_of_a_window) as hub:
        hub.state.limits.set(api=20)
        yield hub


def count(hub: Hub, who: Urgency, *, most: int) -> int:
    """Return the number of calls of urgency `who` until the budget, or the Hub, refuses."""
    with urgency(who):
        for calls_made in range(most):
            try:
                hub.head(REPO)
            except RateLimited:
                return calls_made
    return most


def test_the_last_calls_of_a_window_are_left_to_people(local_hub: LocalHub) -> None:
    """Background calls stop at three tenths of the quota, events at one tenth, a person's when the Hub refuses."""
    with Hub(local_hub.url, "hf_ada", retries=QUICK) as hub:
        assert count(hub, Urgency.BACKGROUND, most=50) == 14
        assert count(hub, Urgency.BACKGROUND, most=50) == 0
        assert count(hub, Urgency.EVENT, most=50) == 4
        assert count(hub, Urgency.PERSON, most=50) == 2
    refused = [call for call in local_hub.state.stats.read()["calls"] if call["status"] == 429]
    assert sum(call["count"] for call in refused) == 1  # only the person's call beyond the quota reached the Hub


def test_two_clients_of_one_account_hear_of_each_other(local_hub: LocalHub) -> None:
    """A client counts the calls of another client of its account, which the Hub's next response reports."""
    with Hub(local_hub.url, "hf_ada", retries=QUICK) as first, Hub(local_hub.url, "hf_ada", retries=QUICK) as second:
        assert count(first, Urgency.PERSON, most=13) == 13
        assert count(second, Urgency.BACKGROUND, most=50) == 1
