"""`/hold` and `/unhold`: keep one request from starting, and let it start again."""

from __future__ import annotations

from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import MAINTAINERS, MODEL, PRECISION, REASON, WEIGHTS
from bot.queue import rulings


def run_hold(call: Call) -> Answer:
    """Put the request on hold, with the reason in its file."""
    return rulings.queue_ruling(
        call, lambda: rulings.hold(call.context, call.entry.path, call.get("reason"), call.person.name)
    )


def run_unhold(call: Call) -> Answer:
    """Lift the hold of the request."""
    return rulings.queue_ruling(call, lambda: rulings.unhold(call.context, call.entry.path))


HOLD = Verb(
    name="hold",
    summary="keep a waiting request from starting, for a reason that everyone can read",
    who=MAINTAINERS,
    run=run_hold,
    params=(MODEL, PRECISION, WEIGHTS, REASON),
    about="request",
    examples=("/hold the authors asked us to wait", '/hold org/model reason="the licence is not clear"'),
    decides=True,
)
UNHOLD = Verb(
    name="unhold",
    summary="let a request that is on hold start again",
    who=MAINTAINERS,
    run=run_unhold,
    params=(MODEL, PRECISION, WEIGHTS),
    about="request",
    examples=("/unhold", "/unhold org/model"),
    decides=True,
)
