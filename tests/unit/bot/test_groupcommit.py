"""Group commit: which items are written together, and which callers get which error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.intake.group_commit import GroupCommit, TooManyWait


class Store:
    """A store whose writes wait until `go` is set, and fail for groups with an item in `fails`."""

    def __init__(self, *, fails: Sequence[int] = ()) -> None:
        self.groups: list[list[int]] = []
        self.go = asyncio.Event()
        self.fails = fails

    async def write(self, group: Sequence[int]) -> list[int]:
        """Record the group and return the double of each item."""
        self.groups.append(list(group))
        await self.go.wait()
        if any(item in self.fails for item in group):
            raise OSError("no")
        return [item * 2 for item in group]


async def settle() -> None:
    """Give every runnable task time to run."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_items_that_arrive_during_a_write_are_written_together() -> None:
    """The first item is written at once; those that arrive meanwhile are written together afterwards."""

    async def play() -> None:
        store = Store()
        commit = GroupCommit(store.write)
        first = asyncio.create_task(commit.put(1, 1))
        await settle()
        waiting = [asyncio.create_task(commit.put(n, 1)) for n in (2, 3, 4)]
        await settle()
        assert store.groups == [[1]]
        assert not any(task.done() for task in (first, *waiting))
        store.go.set()
        assert await asyncio.gather(first, *waiting) == [2, 4, 6, 8]
        assert store.groups == [[1], [2, 3, 4]]

    asyncio.run(play())


def test_nobody_waits_longer_than_patience_for_a_store_that_hangs() -> None:
    """If the store hangs, each caller gets a timeout; when it goes on, later items are written."""

    async def play() -> None:
        store = Store()
        commit = GroupCommit(store.write, patience=0.01)
        puts = [asyncio.create_task(commit.put(1, 1))]
        await settle()
        puts.append(asyncio.create_task(commit.put(2, 1)))
        ends = await asyncio.wait_for(asyncio.gather(*puts, return_exceptions=True), 10)
        assert [type(end) for end in ends] == [TimeoutError, TimeoutError]
        store.go.set()
        await settle()
        assert store.groups == [[1], [2]]
        assert await commit.put(3, 1) == 6

    asyncio.run(play())


def test_an_error_reaches_exactly_those_of_its_group() -> None:
    """A failed write raises its error for the callers of its group only."""

    async def play() -> None:
        store = Store(fails=[2])
        commit = GroupCommit(store.write)
        first = asyncio.create_task(commit.put(1, 1))
        await settle()
        second = [asyncio.create_task(commit.put(n, 1)) for n in (2, 3)]
        store.go.set()
        outcomes = await asyncio.gather(first, *second, return_exceptions=True)
        assert outcomes[0] == 2
        assert [type(error) for error in outcomes[1:]] == [OSError, OSError]
        assert await commit.put(5, 1) == 10

    asyncio.run(play())


def test_a_cancelled_caller_does_not_affect_the_others() -> None:
    """If one caller of a group is cancelled, the others still get their answers."""

    async def play() -> None:
        store = Store()
        commit = GroupCommit(store.write)
        cancelled, stays = asyncio.create_task(commit.put(1, 1)), asyncio.create_task(commit.put(2, 1))
        await settle()
        cancelled.cancel()
        store.go.set()
        assert await stays == 4
        assert cancelled.cancelled()

    asyncio.run(play())


def test_a_writer_that_is_cancelled_tells_those_who_wait() -> None:
    """If the writer task is cancelled during a write, each waiting caller gets a `ConnectionAbortedError`."""

    async def play() -> None:
        store = Store()
        commit = GroupCommit(store.write)
        waits = [asyncio.create_task(commit.put(1, 1))]
        await settle()
        waits.append(asyncio.create_task(commit.put(2, 1)))
        await settle()
        (writer,) = (task for task in asyncio.all_tasks() if "_write_all" in repr(task))
        writer.cancel()
        outcomes = await asyncio.gather(*waits, return_exceptions=True)
        assert [type(error) for error in outcomes] == [ConnectionAbortedError] * 2

    asyncio.run(play())


@pytest.mark.parametrize(("waiting", "weight"), [(3, 1_000), (1_000, 30)])
def test_a_caller_is_refused_at_once_if_too_many_wait(waiting: int, weight: int) -> None:
    """A caller is refused at once if too many items, or items of too much weight, wait already."""

    async def play() -> None:
        store = Store()
        commit = GroupCommit(store.write, waiting=waiting, waiting_weight=weight)
        tasks = [asyncio.create_task(commit.put(0, 1))]
        await settle()
        tasks += [asyncio.create_task(commit.put(n, 10)) for n in (1, 2, 3)]
        await settle()
        with pytest.raises(TooManyWait):
            await commit.put(4, 10)
        store.go.set()
        assert await asyncio.gather(*tasks) == [0, 2, 4, 6]
        assert await commit.put(4, 10) == 8

    asyncio.run(play())


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40), st.integers(1, 8), st.integers(1, 60))
def test_groups_keep_order_and_bounds(weights: list[int], most: int, most_weight: int) -> None:
    """Every item is written once, in order, in groups within both limits; one that is too heavy is written alone."""

    async def play() -> list[list[int]]:
        store = Store()
        store.go.set()
        commit = GroupCommit(store.write, group=most, group_weight=most_weight)
        answers = await asyncio.gather(*(commit.put(n, weight) for n, weight in enumerate(weights)))
        assert answers == [n * 2 for n in range(len(weights))]
        return store.groups

    groups = asyncio.run(play())
    assert [item for group in groups for item in group] == list(range(len(weights)))
    for group in groups:
        assert len(group) <= most
        assert len(group) == 1 or sum(weights[item] for item in group) <= most_weight
