"""`/pause` and `/resume`: start nothing of the board, a tier or a suite for a while."""

from __future__ import annotations

from bot.core.commands.model import Answer, Call, Param, Verb
from bot.core.commands.parameters import MAINTAINERS, REASON
from bot.queue import rulings

WHAT = Param("what", "word", "board, tier:small, tier:medium, tier:large, or suite: and its name", required=True)


def run_pause(call: Call) -> Answer:
    """Start no evaluation of the board, tier or suite; running evaluations continue."""
    return rulings.queue_ruling(
        call, lambda: rulings.pause(call.context, call.get("what"), call.get("reason"), call.person.name)
    )


def run_resume(call: Call) -> Answer:
    """End the pause of the board, tier or suite."""
    return rulings.queue_ruling(call, lambda: rulings.resume(call.context, call.get("what")))


PAUSE = Verb(
    name="pause",
    summary="start nothing of the board, a tier or a suite until it is resumed; running evaluations continue",
    who=MAINTAINERS,
    run=run_pause,
    params=(WHAT, REASON),
    examples=("/pause board the cluster moves tonight", "/pause tier:large no large machines this week"),
    decides=True,
)
RESUME = Verb(
    name="resume",
    summary="end the pause of the board, a tier or a suite",
    who=MAINTAINERS,
    run=run_resume,
    params=(WHAT,),
    examples=("/resume board", "/resume tier:large"),
    decides=True,
)
