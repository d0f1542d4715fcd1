"""Asks syncs for checks, for names that complete what a person types, and for published answers, within limits."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.read_models.check_models import CheckResponse
from bot.read_models.details_models import DetailsResponse
from bot.read_models.models import ErrorResponse
from bot.web.answers import CannotAnswer
from bot.web.asking import SyncAsker
from bot.web.incoming import client_name, over_limit
from leaderboard.request_paths import is_model
from redis_state.board.messages import CheckQuestion, DetailsQuestion, NameAnswer, NameQuestion

ALL = "all"
MIN_CHARACTERS, MAX_CHARACTERS = 3, 100
"""Characters of a text that is completed to names of models."""
MAX_NAME = 200
"""Characters of the name of a model."""
NAMES_PER_CLIENT, NAMES_PER_MINUTE = 30, 60
"""New names per minute that a sync looks up."""
DETAILS_PER_CLIENT, DETAILS_PER_MINUTE = 20, 40
"""New parts of published answers per minute that a sync reads."""


class Checks:
    """The checks of one board, limited per minute for each client and for all together."""

    def __init__(self, context: BoardContext, *, per_minute: int, per_client: int) -> None:
        self.context = context
        self._per_minute, self._per_client = per_minute, per_client
        self._asker = SyncAsker(context, CheckQuestion, CheckResponse)

    async def ask(self, question: CheckQuestion, client: str) -> CheckResponse | None:
        """The answer; None if there is none yet. Raises CannotAnswer over a limit, but never for a stored answer."""
        return await self._asker.ask(question, lambda is_new: self._refuse_too_many(client_name(client), is_new))

    def _refuse_too_many(self, client: str, is_new: bool) -> None:
        advice = "Each check costs a dozen calls to the Hub."
        _count(self.context, client, self._per_client, "You have sent too many checks in this minute.", advice)
        if is_new:
            _count(self.context, ALL, self._per_minute, "There are too many checks at the moment.", advice)


class ModelNames:
    """Completes the names of models that people type, limited per minute for each client and for all together.

    Each new question is one call to the Hub. While the Hub does not answer, there are no suggestions.
    """

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self._asker = SyncAsker(context, NameQuestion, NameAnswer)

    async def ask(self, words: str, client: str) -> list[str]:
        """Names of models that contain `words`; empty if there is no answer yet. Raises CannotAnswer over a limit."""
        words = " ".join(words.lower().split())
        if not MIN_CHARACTERS <= len(words) <= MAX_CHARACTERS:
            return []
        answer = await self._asker.ask(NameQuestion(words=words), lambda is_new: self._refuse(client, is_new))
        return answer.names if answer is not None else []

    async def exists(self, model: str, client: str) -> bool | None:
        """Whether the Hub has a public model of this name; None if there is no answer yet. Raises CannotAnswer."""
        if len(model) > MAX_NAME or "/" not in model or not is_model(model):
            return False
        question = NameQuestion(words=model, exact=True)
        answer = await self._asker.ask(question, lambda is_new: self._refuse(client, is_new))
        return bool(answer.names) if answer is not None else None

    def _refuse(self, client: str, is_new: bool) -> None:
        if is_new:
            message = "There were too many names in this minute."
            _count(self.context, f"names {client_name(client)}", NAMES_PER_CLIENT, message)
            _count(self.context, f"names {ALL}", NAMES_PER_MINUTE, message)


class PublishedAnswers:
    """Parts of the answers in details repos, limited per minute for each client and for all together.

    A sync reads each part from the Hub, and the answer is stored for some minutes.
    """

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self._asker = SyncAsker(context, DetailsQuestion, DetailsResponse)

    async def ask(self, question: DetailsQuestion, client: str) -> DetailsResponse | None:
        """The answer; None if there is none yet. Raises CannotAnswer over a limit, but never for a stored answer."""
        return await self._asker.ask(question, lambda is_new: self._refuse(client, is_new))

    def _refuse(self, client: str, is_new: bool) -> None:
        if is_new:
            message, reason = "There were too many questions about answers in this minute.", "Each reads a file."
            _count(self.context, f"details {client_name(client)}", DETAILS_PER_CLIENT, message, reason)
            _count(self.context, f"details {ALL}", DETAILS_PER_MINUTE, message, reason)


def _count(context: BoardContext, counter: str, limit: int, message: str, reason: str = "") -> None:
    if wait := over_limit(context, counter, limit=limit):
        problem = ErrorResponse(code="too-many", message=message, advice=f"Try again in {wait} s. {reason}".strip())
        raise CannotAnswer(429, problem, {"retry-after": str(wait)})
