"""Group commit: what arrives while one write is under way shares the next.

Each caller is answered when the write that took its own item has ended, and with that write's answer or error. So an
error reaches exactly those whose items were in the write that failed.

The first item does not wait for company: the writer starts at the next turn of the event loop, with whatever that turn
brought. Under load the groups grow by themselves, to as much as arrives in the time of one write.

What waits is bounded in number and in weight: past that a newcomer is refused at once instead of piling up in memory
before a store that does not answer. Whoever put it in waits PATIENCE seconds at most; the item may be written later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

PATIENCE = 2.0
"""Seconds in which an item is written, or its caller is told that it may not have been."""
T = TypeVar("T")
R = TypeVar("R")


class TooManyWait(Exception):
    """More wait to be written than there is room for."""


@dataclass(slots=True)  # frozen ones take three times as long to make
class _Waiting(Generic[T, R]):
    item: T
    weight: int
    since: float
    answer: asyncio.Future[R]


class GroupCommit(Generic[T, R]):
    """Writes items in groups with `write`, one group at a time; `write` answers one `R` for each item, in order."""

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        group: int = 256,
        group_weight: int = 4_000_000,
        waiting: int = 4_096,
        waiting_weight: int = 64_000_000,
        patience: float = PATIENCE,
    ) -> None:
        self._write = write
        self._group, self._group_weight = group, group_weight
        self._most, self._most_weight = waiting, waiting_weight
        self._patience = patience
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._weight = 0
        self._writer: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle

    async def put(self, item: T, weight: int) -> R:
        """The answer for `item` once it is written.

        Raises what the write raised; TooManyWait; or TimeoutError where it is not written in time.
        """
        if len(self._waiting) >= self._most or (self._waiting and self._weight + weight > self._most_weight):
            raise TooManyWait
        loop = asyncio.get_running_loop()
        waiting: _Waiting[T, R] = _Waiting(item, weight, loop.time(), loop.create_future())
        self._waiting.append(waiting)
        self._weight += weight
        if self._writer is None:
            self._writer = loop.create_task(self._write_all())
        return await waiting.answer

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                group = self._next_group()
                self._expire(group)
                try:
                    await self._write_some(group)
                finally:
                    self._timer.cancel()
        finally:
            self._writer = None
            while self._waiting:  # only where this task was cancelled: the process ends
                _fail(self._next_group(), asyncio.CancelledError())

    def _expire(self, group: list[_Waiting[T, R]]) -> None:
        """Fail what waits for too long, in `group`, which is being written, or for the next; look again in time."""
        loop = asyncio.get_running_loop()
        oldest = now = loop.time()
        for waiting in chain(group, self._waiting):
            if waiting.since + self._patience > now:
                oldest = waiting.since
                break
            _fail([waiting], TimeoutError("not written in time"))
        self._timer = loop.call_at(oldest + self._patience, self._expire, group)

    def _next_group(self) -> list[_Waiting[T, R]]:
        """The oldest that fit into one write; at least one."""
        group = [self._waiting.popleft()]
        weight = group[0].weight
        while self._waiting and len(group) < self._group and weight + self._waiting[0].weight <= self._group_weight:
            group.append(self._waiting.popleft())
            weight += group[-1].weight
        self._weight -= weight
        return group

    async def _write_some(self, group: list[_Waiting[T, R]]) -> None:
        try:
            answered = list(zip(group, await self._write([waiting.item for waiting in group]), strict=True))
        except BaseException as error:
            _fail(group, error)
            if not isinstance(error, Exception):
                raise  # the loop ends, or this task was cancelled
            return
        for waiting, answer in answered:
            if not waiting.answer.done():  # its caller may have given up
                waiting.answer.set_result(answer)


def _fail(group: list[_Waiting[T, R]], error: BaseException) -> None:
    told = error if isinstance(error, Exception) else ConnectionAbortedError("The process is ending.")
    for waiting in group:
        if not waiting.answer.done():
            waiting.answer.set_exception(told)
