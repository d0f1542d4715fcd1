"""`/api/check` from the web server's side: let few enough through, hand the question over, wait without blocking.

What is asked goes to a sync process, which has the token. Until it has answered, or PATIENCE is over, the client waits;
then it is told to ask again, and finds the answer there.
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

PATIENCE, LOOK = 15.0, 0.1
"""Seconds that a client waits at most, and between two looks whether the answer is there."""
AGAIN = 3
WAITING = 32
"""Clients that may wait at a time; others are told at once to ask again."""
ALL = "all"
T = TypeVar("T")


class AnswerWaiter:
    """Clients that wait for what a sync answers: WAITING at a time, for PATIENCE seconds each."""

    def __init__(self) -> None:
        self._waiting = 0

    async def wait(self, read: Callable[[], T | None]) -> T | None:
        """What `read` finds, as soon as it finds something; None where that takes too long, or too many wait."""
        if self._waiting >= WAITING:
            return None
        self._waiting += 1
        try:
            return await self._wait(read)
        finally:
            self._waiting -= 1

    async def _wait(self, read: Callable[[], T | None]) -> T | None:
        clock = asyncio.get_running_loop()
        end = clock.time() + PATIENCE
        while clock.time() < end:
            if (found := await run_in_threadpool(read)) is not None:
                return found
            await asyncio.sleep(LOOK)
        return None


class Checks:
    """The checks of one board: so many a minute for each client, and so many in all."""

    def __init__(self, context: BoardContext, *, per_minute: int, per_client: int) -> None:
        self.context = context
        self.questions = CheckQuestions(context.redis, context.keys)
        self._per_minute, self._per_client = per_minute, per_client
        self._patience = AnswerWaiter()

    async def ask(self, question: CheckQuestion, client: str) -> CheckResponse | None:
        """The answer; None where it is still to come. Raises CannotAnswer where too much is asked."""
        body = await run_in_threadpool(self._ask, question, client)
        if body is None:
            body = await self._patience.wait(lambda: self.questions.read(question.digest))
        return CheckResponse.model_validate_json(body) if body is not None else None

    def _ask(self, question: CheckQuestion, client: str) -> bytes | None:
        """The answer, where there is one; else the question is put."""
        if (body := self.questions.read(question.digest)) is not None:
            return body
        self._refuse_too_many(client_name(client), self._per_client, "You have asked often enough for this minute.")
        if self.questions.find(question.digest) is None:
            self._refuse_too_many(ALL, self._per_minute, "More is asked at the moment than can be answered.")
            self.questions.put(question)
        self.context.mark(f"{CHECK}:{question.digest}")
        return None

    def _refuse_too_many(self, counter: str, most: int, message: str) -> None:
        if wait := self.questions.allows(counter, most=most):
            advice = f"Ask again in {wait} s. Each check costs a dozen calls to the Hub."
            problem = ErrorResponse(code="too-many", message=message, advice=advice)
            raise CannotAnswer(429, problem, {"retry-after": str(wait)})


def client_name(client: str) -> str:
    """A name for a client's address: of IPv6 the network, of which one customer has all addresses."""
    network = client_network(client)
    return hashlib.sha256(network.encode()).hexdigest()[:16] if network else "unknown"
