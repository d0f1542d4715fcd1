"""The web server's side of `/api/check`: the limits per minute, and the question to a sync."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.read_models.check_models import CheckResponse
from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer
from bot.web.asking import SyncAsker
from bot.web.incoming import client_name, over_limit
from redis_state.board.messages import CheckQuestion

ALL = "all"


class Checks:
    """The checks of one board, limited per minute for each client and for all together."""

    def __init__(self, context: BoardContext, *, per_minute: int, per_client: int) -> None:
        self.context = context
        self._per_minute, self._per_client = per_minute, per_client
        self._asker = SyncAsker(context, CheckQuestion, CheckResponse)

    async def ask(self, question: CheckQuestion, client: str) -> CheckResponse | None:
        """The answer; None if there is none yet. Raises CannotAnswer over a limit; a stored answer is free."""
        return await self._asker.ask(question, lambda is_new: self._refuse_too_many(client_name(client), is_new))

    def _refuse_too_many(self, client: str, is_new: bool) -> None:
        self._count(client, self._per_client, "You have sent too many checks in this minute.")
        if is_new:
            self._count(ALL, self._per_minute, "There are too many checks at the moment.")

    def _count(self, counter: str, limit: int, message: str) -> None:
        if wait := over_limit(self.context, counter, limit=limit):
            advice = f"Try again in {wait} s. Each check costs a dozen calls to the Hub."
            problem = ErrorResponse(code="too-many", message=message, advice=advice)
            raise CannotAnswer(429, problem, {"retry-after": str(wait)})
