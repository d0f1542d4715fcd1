"""`/priority`: set the priority of a request in the queue."""

from __future__ import annotations

from typing import cast

from bot.core.commands.model import Answer, Call, Param, Verb
from bot.core.commands.parameters import MAINTAINERS, MODEL, PRECISION, WEIGHTS
from bot.queue import rulings
from leaderboard.holds import RANK, Priority

LEVEL = Param("level", "choice", "the priority of the request", required=True, choices=tuple(RANK))


def run(call: Call) -> Answer:
    """Write the level into the request's file, which dispatch follows."""
    level = cast(Priority, call.get("level"))
    return rulings.queue_ruling(call, lambda: rulings.set_priority(call.context, call.entry.path, level))


PRIORITY = Verb(
    name="priority",
    summary="make a request start before those of lower priority",
    who=MAINTAINERS,
    run=run,
    params=(MODEL, LEVEL, PRECISION, WEIGHTS),
    about="request",
    examples=("/priority high", "/priority org/model low"),
    decides=True,
)
