"""The web server's side of `/api/check`: rate limits, handing the question to a sync, waiting without blocking.

A sync process, which has the token, answers the question. The client waits up to WAIT_SECONDS for the answer. Without
one it gets a 202, asks again, and finds the answer then.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from bot.core.context import BoardContext
from bot.intake.clients import client_network
from bot.read_models.check_models import CheckResponse
from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer
from redis_state.board.check_questions import CHECK, CheckQuestion, CheckQuestions

WAIT_SECONDS, POLL_SECONDS = 15.0, 0.1
RETRY_SECONDS = 3
"""After which a client without an answer asks again."""
MAX_WAITING = 32
"""Clients that may wait at the same time; others get a 202 at once."""
ALL = "all"
T = TypeVar("T")


class AnswerWaiter:
    """Lets clients wait for the answer of a sync: MAX_WAITING at a time, WAIT_SECONDS each."""

    def __init__(self) -> None:
        self._waiting = 0

    async def wait(self, read: Callable[[], T | None]) -> T | None:
        """The first result of `read` that is not None; None after WAIT_SECONDS, or if too many wait already."""
        if self._waiting >= MAX_WAITING:
            return None
        self._waiting += 1
        try:
            return await self._wait(read)
        finally:
            self._waiting -= 1

    async def _wait(self, read: Callable[[], T | None]) -> T | None:
        clock = asyncio.get_running_loop()
        end = clock.time() + WAIT_SECONDS
        while clock.time() < end:
            if (result := await run_in_threadpool(read)) is not None:
                return result
            await asyncio.sleep(POLL_SECONDS)
        return None


class Checks:
    """The checks of one board, limited per minute for each client and for all together."""

    def __init__(self, context: BoardContext, *, per_minute: int, per_client: int) -> None:
        self.context = context
        self.questions = CheckQuestions(context.redis, context.keys)
        self._per_minute, self._per_client = per_minute, per_client
        self._waiter = AnswerWaiter()

    async def ask(self, question: CheckQuestion, client: str) -> CheckResponse | None:
        """The answer; None if there is none yet. Raises CannotAnswer if a rate limit is exceeded."""
        body = await run_in_threadpool(self._answer_or_ask, question, client)
        if body is None:
            body = await self._waiter.wait(lambda: self.questions.read(question.digest))
        return CheckResponse.model_validate_json(body) if body is not None else None

    def _answer_or_ask(self, question: CheckQuestion, client: str) -> bytes | None:
        """The cached answer. Without one, store the question, mark its key and return None."""
        if (body := self.questions.read(question.digest)) is not None:
            return body
        self._refuse_too_many(client_name(client), self._per_client, "You have sent too many checks in this minute.")
        if self.questions.find(question.digest) is None:
            self._refuse_too_many(ALL, self._per_minute, "There are too many checks at the moment.")
            self.questions.put(question)
        self.context.mark(f"{CHECK}:{question.digest}")
        return None

    def _refuse_too_many(self, counter: str, limit: int, message: str) -> None:
        if wait := self.questions.allows(counter, most=limit):
            advice = f"Try again in {wait} s. Each check costs a dozen calls to the Hub."
            problem = ErrorResponse(code="too-many", message=message, advice=advice)
            raise CannotAnswer(429, problem, {"retry-after": str(wait)})


def client_name(client: str) -> str:
    """A digest that stands for a client's address: for IPv6 that of its network, all of which one customer has."""
    network = client_network(client)
    return hashlib.sha256(network.encode()).hexdigest()[:16] if network else "unknown"
