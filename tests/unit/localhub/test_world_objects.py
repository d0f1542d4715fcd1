"""Objects of the Hub emulator: webhooks of its initial state (world), items of collections, log lines of Jobs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from localhub.accounts.store import Account
from localhub.jobs.runner import PrintedLines
from localhub.repos.collections import Collection, CollectionItem, Collections
from localhub.state import HubState
from localhub.testing import HubWorld
from localhub.world import open_hub

HOOK = "http://127.0.0.1:1/hook"


def world() -> HubWorld:
    """A world in which two webhooks of one account call the same address."""
    made = HubWorld().user("ada").datasets("ada/one", "ada/two")
    for name in ("ada/one", "ada/two"):
        made = made.webhook("ada", HOOK, ("dataset", name))
    return made


@pytest.fixture
def state(tmp_path: Path) -> Iterator[HubState]:
    """The Hub of that world."""
    opened = open_hub(tmp_path, world())
    yield opened
    opened.close()


def watched(state: HubState) -> list[list[str]]:
    """The names that each webhook watches."""
    return [[target.name for target in webhook.watched] for webhook in state.webhooks.all()]


def test_two_webhooks_of_a_world_may_call_one_address(tmp_path: Path) -> None:
    """Two webhooks with the same address are both created, and a restart with the same world adds none."""
    for _ in range(2):
        state = open_hub(tmp_path, world())
        targets = watched(state)
        state.close()
        assert targets == [["ada/one"], ["ada/two"]]


class SlowReads(Collections):
    """Collections that delay each reader of items until another caller has read them, too, or half a second passed."""

    both = threading.Barrier(2)

    def items(self, collection: Collection) -> list[CollectionItem]:
        """Wait for the other caller after the read."""
        items = super().items(collection)
        with suppress(threading.BrokenBarrierError):
            self.both.wait(0.5)
        return items


def test_items_that_are_added_at_the_same_time_have_different_places(state: HubState) -> None:
    """Two items added to a collection at the same time get different positions."""
    ada = state.accounts.by_name("ada")
    assert isinstance(ada, Account)
    collection = state.collections.create(ada, "Mine", None, private=False)
    slow = SlowReads(state.database, state.clock)
    adding = [
        threading.Thread(target=slow.add_item, args=(collection, "dataset", name, None)) for name in ("one", "two")
    ]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    places = state.database.rows("SELECT position FROM collection_items ORDER BY position")
    assert [row["position"] for row in places] == [0, 1]


def test_the_log_of_a_job_goes_on_after_its_first_lines_are_dropped() -> None:
    """A reader of a job's log gets each line once, except lines that were dropped before it read them."""
    printed = PrintedLines(3)
    for line in "abc":
        printed.add(line)
    lines, seen = printed.since(0)
    assert lines == ["a", "b", "c"]
    printed.add("d")
    lines, seen = printed.since(seen)
    assert (lines, seen) == (["d"], 4)
    for line in "efghi":
        printed.add(line)
    assert printed.since(seen) == (["g", "h", "i"], 9)
    assert printed.since(9) == ([], 9)
    assert printed.since(printed.before_last(2)) == (["h", "i"], 9)
    assert printed.since(printed.before_last(20)) == (["g", "h", "i"], 9)
