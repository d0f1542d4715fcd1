"""`/status`: where a model's requests stand."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import ANYONE, MODEL, PRECISION, WEIGHTS
from bot.core.commands.targets import similar_names
from bot.read_models import models, serializers
from bot.read_models.queue_texts import start_words
from leaderboard.times import read_time

MOST = 10


def run(call: Call) -> Answer:
    """Every request that is meant, with its state, its place or its progress, and its links."""
    found = [serializers.request(call.context, entry) for entry in call.entries[:MOST]]
    more = len(call.entries) - len(found)
    others = similar_names(call.context, call.model) if not found else ()
    return Answer(say("status", model=call.model, requests=found, more=more, near=others, start=_start, held=_held))


def _start(place: models.QueuePositionView) -> str:
    if place.start is None:
        return ""
    earliest, latest = read_time(place.start.earliest), read_time(place.start.latest)
    return start_words(earliest or 0.0, latest) if latest is not None else ""


def _held(held: models.QueueBlockerView) -> str:
    return held.reason or f"{held.kind} {held.what}".strip()


STATUS = Verb(
    name="status",
    summary="where a model's requests stand",
    who=ANYONE,
    run=run,
    params=(MODEL, PRECISION, WEIGHTS),
    about="model",
    examples=("/status", "/status org/model", "/status org/model precision=bfloat16"),
)
