"""The web server's side of mailboxes: store a message, mark its dirty key, wait for the sync's answer without blocking.

A client waits up to WAIT_SECONDS. Without an answer by then, it gets a 202, asks again, and finds the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic

from starlette.concurrency import run_in_threadpool

from bot.core.context import BoardContext
from redis_state.board.mailbox import A, M, Mailbox
from redis_state.dirty import SyncPriority

WAIT_SECONDS, POLL_SECONDS = 15.0, 0.1
RETRY_SECONDS = 3
"""Seconds after which a client without an answer asks again."""
MAX_WAITING = 32
"""Clients that may wait at the same time for answers of one kind; others get a 202 at once."""


class SyncAsker(Generic[M, A]):
    """Sends messages of one kind to the syncs of one board, and returns their answers."""

    def __init__(
        self,
        context: BoardContext,
        message: type[M],
        answer: type[A],
        priority: SyncPriority = SyncPriority.EVENT,
    ) -> None:
        self.mailbox = Mailbox(context.redis, context.keys, message, answer)
        self._context, self._priority = context, priority
        self._waiting = 0

    async def ask(self, message: M, refuse: Callable[[bool], None] | None = None) -> A | None:
        """The answer to `message`; None if it does not come within WAIT_SECONDS, or if too many clients wait.

        Before a message is sent, `refuse` is called with whether the message is new; it may raise CannotAnswer.
        """
        answer = await run_in_threadpool(self._read_or_send, message, refuse)
        if answer is not None or self._waiting >= MAX_WAITING:
            return answer
        self._waiting += 1
        try:
            return await self._wait(message.message_id)
        finally:
            self._waiting -= 1

    def send(self, message: M) -> None:
        """Store the message unless it is stored already, and mark its key."""
        self.mailbox.put(message)
        self._context.mark(message.dirty_key, self._priority)

    def _read_or_send(self, message: M, refuse: Callable[[bool], None] | None) -> A | None:
        if (answer := self.mailbox.read(message.message_id)) is not None:
            return answer
        if refuse is not None:
            refuse(self.mailbox.find(message.message_id) is None)
        self.send(message)
        return None

    async def _wait(self, message_id: str) -> A | None:
        clock = asyncio.get_running_loop()
        end = clock.time() + WAIT_SECONDS
        while clock.time() < end:
            if (answer := await run_in_threadpool(self.mailbox.read, message_id)) is not None:
                return answer
            await asyncio.sleep(POLL_SECONDS)
        return None
