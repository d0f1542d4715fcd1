"""The door to what is for maintainers alone, and what they may do there.

Who is a maintainer is asked as for a command in a thread: by user id, and where an organisation makes somebody one, of
the Hub, by a sync that has the bot's token. To look, what was said within two minutes is enough; before anything is
done the role is read afresh, by the sync that does it.
"""

from __future__ import annotations

from typing import Literal

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from bot.web.checks import AnswerWaiter
from bot.web.visitors import Visitor, Visitors
from leaderboard.roles import Person
from redis_state.board.maintainer_actions import Code, MaintainerAction, role_check, wake_sync

Refusal = Literal["signed-out", "stranger", "unsure"]
"""Why somebody is not let in: nobody is signed in, they are no maintainer, nobody could say whether they are."""


class RequireMaintainer:
    """The door of one board."""

    def __init__(self, visitors: Visitors) -> None:
        self.visitors, self.context = visitors, visitors.context
        self._patience = AnswerWaiter()

    async def visitor(self, request: Request) -> Visitor | Refusal:
        """The maintainer who is signed in."""
        visitor = await run_in_threadpool(self.visitors.of, request)
        if visitor is None:
            return "signed-out"
        if (why := await self.refuses(visitor.person)) is not None:
            return why
        await run_in_threadpool(self.visitors.sessions.note_maintainer, visitor.session)
        return visitor

    async def refuses(self, person: Person) -> Refusal | None:
        """Why `person` is not let in; None where they are."""
        known = await run_in_threadpool(self.visitors.known_maintainer, person)
        if known is None:
            answered = await self._run(role_check(person, at=self.context.now()))
            if answered is None:
                return "unsure"
            known = answered == "maintainer"
        return None if known else "stranger"

    async def wake(self, person: Person, key: str) -> Code | None:
        """Have the sync of `key` tried again in the name of `person`; None where that is still under way."""
        parked = await run_in_threadpool(self.context.parking.all)
        if not any(one.key == key for one in parked):
            return "not-parked"
        return await self._run(wake_sync(person, key, at=self.context.now()))

    async def _run(self, maintainer_action: MaintainerAction) -> Code | None:
        """What came of `errand`, as soon as a sync has carried it out; None where that takes too long."""
        await run_in_threadpool(self.visitors.send, maintainer_action)
        return await self._patience.wait(lambda: self.visitors.maintainer_actions.read(maintainer_action.id))
