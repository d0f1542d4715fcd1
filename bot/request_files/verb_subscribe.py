"""`/subscribe`: notify the person in this thread, by a comment, when an evaluation has ended."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import ANYONE, MODEL, PRECISION, WEIGHTS
from bot.read_models import serializers
from bot.request_files.followers import follow


def run(call: Call) -> Answer:
    """Make this thread follow the request for this person."""
    request = serializers.request(call.context, call.entry)
    if request.state in ("finished", "failed", "cancelled", "elsewhere", "settled"):
        return Answer(say("subscribe", request=request, marker=""), allowed=False)
    marker = follow(call.context, call.entry, call.repo, call.thread.num)
    return Answer(say("subscribe", request=request, marker=marker))


SUBSCRIBE = Verb(
    name="subscribe",
    summary="be notified here when an evaluation has ended",
    who=ANYONE,
    run=run,
    params=(MODEL, PRECISION, WEIGHTS),
    about="request",
    examples=("/subscribe", "/subscribe org/model"),
)
