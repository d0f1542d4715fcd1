"""`/subscribe`: to be told of the end of an evaluation, by a comment in the thread where one asked."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import ANYONE, MODEL, PRECISION, WEIGHTS
from bot.read_models import serializers
from bot.request_files.followers import follow


def run(call: Call) -> Answer:
    """Have this thread follow the request, for this person."""
    found = serializers.request(call.context, call.entry)
    if found.state in ("finished", "failed", "cancelled", "elsewhere", "settled"):
        return Answer(say("subscribe", one=found, marker=""), allowed=False)
    marker = follow(call.context, call.entry, call.repo, call.thread.num)
    return Answer(say("subscribe", one=found, marker=marker))


SUBSCRIBE = Verb(
    name="subscribe",
    summary="be told here when an evaluation has ended",
    who=ANYONE,
    run=run,
    params=(MODEL, PRECISION, WEIGHTS),
    about="request",
    examples=("/subscribe", "/subscribe org/model"),
)
