"""`/cancel`: withdraw a request that waits or runs."""

from __future__ import annotations

from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import MODEL, OPTIONAL_REASON, PRECISION, SUBMITTERS, WEIGHTS
from bot.queue import rulings


def run(call: Call) -> Answer:
    """Withdraw the request; a worker that evaluates it stops."""
    reason = call.get("reason") or "It is no longer wanted."
    return rulings.queue_ruling(call, lambda: rulings.cancel(call.context, call.entry.path, reason, call.person.name))


CANCEL = Verb(
    name="cancel",
    summary="withdraw a request that waits or runs",
    who=SUBMITTERS,
    run=run,
    params=(MODEL, PRECISION, WEIGHTS, OPTIONAL_REASON),
    about="request",
    examples=("/cancel", "/cancel org/model precision=4bit", "/cancel org/model the wrong revision"),
    irreversible=True,
    decides=True,
)
