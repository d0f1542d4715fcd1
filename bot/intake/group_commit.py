"""Group commit: items that arrive during one write share the next write.

Each caller gets the answer or error of the write that took its item, when that write has ended. So an error reaches
exactly the callers whose items were in the failed write.

The first item does not wait for others: the writer starts at the next turn of the event loop, with the items of that
turn. Under load the groups grow to as many items as arrive during one write.

The number and weight of waiting items are bounded: further items are refused at once instead of filling the memory
while the store does not answer. A caller waits at most PATIENCE seconds; its item may be written later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

PATIENCE = 2.0
"""Seconds after which a caller gets TimeoutError if its item is not written."""
T = TypeVar("T")
R = TypeVar("R")


class TooManyWait(Exception):
    """Too many items wait to be written."""


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

        Raises the error of the write, TooManyWait, or TimeoutError if it is not written in time.
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
            while self._waiting:  # only if this task was cancelled: the process ends
                _fail(self._next_group(), asyncio.CancelledError())

    def _expire(self, group: list[_Waiting[T, R]]) -> None:
        """Fail items that have waited too long, in `group`, which is being written, or after it; set the next timer."""
        loop = asyncio.get_running_loop()
        oldest = now = loop.time()
        for waiting in chain(group, self._waiting):
            if waiting.since + self._patience > now:
                oldest = waiting.since
                break
            _fail([waiting], TimeoutError("not written in time"))
        self._timer = loop.call_at(oldest + self._patience, self._expire, group)

    def _next_group(self) -> list[_Waiting[T, R]]:
        """The oldest items that fit into one write; at least one."""
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
    reported = error if isinstance(error, Exception) else ConnectionAbortedError("The process is ending.")
    for waiting in group:
        if not waiting.answer.done():
            waiting.answer.set_exception(reported)
