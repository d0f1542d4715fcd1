"""`/why`: explain why a request failed or waits: the cause, the decisive lines of the log, what to change."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import ANYONE, MODEL, PRECISION, WEIGHTS
from bot.read_models import serializers
from bot.read_models.log_lines import lines_of


def run(call: Call) -> Answer:
    """Explain the state of the request. If it failed, its log is read, which is one call."""
    request = serializers.request(call.context, call.entry)
    is_public_failure = request.failed and request.failure is not None and request.access == "public"
    lines = lines_of(call.context, call.entry) if is_public_failure else []
    return Answer(say("why", request=request, lines=lines))


WHY = Verb(
    name="why",
    summary="explain why a request failed or waits: the cause, the decisive lines of the log, what to change",
    who=ANYONE,
    run=run,
    params=(MODEL, PRECISION, WEIGHTS),
    about="request",
    examples=("/why", "/why org/model", "/why org/model precision=bfloat16"),
)
