"""Access to the maintainers' pages and API, and the actions that maintainers can take there.

The check is the same as for a command in a thread: by user id; for maintainers by organisation, a sync, which has the
bot's token, asks the Hub. For reading, its answer of the last two minutes suffices; before an action, the sync that
executes it reads the role again.
"""

from __future__ import annotations

from typing import Literal

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from bot.web.visitors import Visitor, Visitors
from leaderboard.roles import Person
from redis_state.board.messages import Code, role_check, wake_sync

Refusal = Literal["signed-out", "stranger", "unsure"]
"""Why access is refused: not signed in, not a maintainer, or no sync has answered yet whether they are one."""


class RequireMaintainer:
    """Checks that the caller is a maintainer of one board."""

    def __init__(self, visitors: Visitors) -> None:
        self.visitors, self.context = visitors, visitors.context

    async def visitor(self, request: Request) -> Visitor | Refusal:
        """The maintainer who is signed in, or why access is refused."""
        visitor = await run_in_threadpool(self.visitors.of, request)
        if visitor is None:
            return "signed-out"
        if (refusal := await self.refuses(visitor.person)) is not None:
            return refusal
        await run_in_threadpool(self.visitors.sessions.note_maintainer, visitor.session)
        return visitor

    async def refuses(self, person: Person) -> Refusal | None:
        """Why access is refused to `person`; None if they are a maintainer."""
        is_maintainer = await run_in_threadpool(self.visitors.known_maintainer, person)
        if is_maintainer is None:
            answer = await self.visitors.actions.ask(role_check(person, at=self.context.now()))
            if answer is None:
                return "unsure"
            is_maintainer = answer.code == "maintainer"
        return None if is_maintainer else "stranger"

    async def wake(self, person: Person, key: str) -> Code | None:
        """Wake the parked sync of `key` in the name of `person`; None if that is still under way."""
        parked = await run_in_threadpool(self.context.parking.all)
        if not any(sync.key == key for sync in parked):
            return "not-parked"
        answer = await self.visitors.actions.ask(wake_sync(person, key, at=self.context.now()))
        return None if answer is None else answer.code
