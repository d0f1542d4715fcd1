"""`/why`: why a request failed or waits: the cause, whose fault it was, what the log says, what to change."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import ANYONE, MODEL, PRECISION, WEIGHTS
from bot.read_models import serializers
from bot.read_models.log_lines import lines_of


def run(call: Call) -> Answer:
    """What there is to say; the log is looked at where it failed, which is one call."""
    found = serializers.request(call.context, call.entry)
    told = found.failed and found.failure is not None and found.access == "public"
    lines = lines_of(call.context, call.entry) if told else []
    return Answer(say("why", one=found, lines=lines))


WHY = Verb(
    name="why",
    summary="why a request failed or waits: the cause, whose fault it was, what the log says, what to change",
    who=ANYONE,
    run=run,
    params=(MODEL, PRECISION, WEIGHTS),
    about="request",
    examples=("/why", "/why org/model", "/why org/model precision=bfloat16"),
)
