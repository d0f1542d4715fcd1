"""Group commit: who is written with whom, and who hears of which error."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.intake.group_commit import GroupCommit, TooManyWait


class Store:
    """A store whose writes end when they are told to, or fail."""

    def __init__(self, *, fails: Sequence[int] = ()) -> None:
        self.groups: list[list[int]] = []
        self.go = asyncio.Event()
        self.fails = fails

    async def write(self, group: Sequence[int]) -> list[int]:
        """Keep the group; answer each item with its double."""
        self.groups.append(list(group))
        await self.go.wait()
        if any(item in self.fails for item in group):
            raise OSError("no")
        return [item * 2 for item in group]


async def settle() -> None:
    """Let every task that can go on do so."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_what_comes_while_one_write_is_under_way_shares_the_next() -> None:
    """The first goes at once; the others wait for it, and then go together."""

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
    """Neither for the write of its own item nor for the one before it; what is written later is kept."""

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
    """Those before and after a write that failed are answered as if nothing had been."""

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


def test_who_gives_up_leaves_the_others_alone() -> None:
    """A caller that was cancelled is written with its group, and no other caller waits for it."""

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
    """When the process ends in the middle of a write, each caller gets an answer."""

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
def test_who_comes_when_too_many_wait_is_refused_at_once(waiting: int, weight: int) -> None:
    """By number and by weight: memory is bounded while the store does not answer."""

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
    """Every item is written once, in order, in groups within the bounds; one too heavy goes alone."""

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
