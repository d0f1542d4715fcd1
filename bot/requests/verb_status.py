"""`/status`: show the state of a model's requests."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import ANYONE, MODEL, PRECISION, WEIGHTS
from bot.core.commands.targets import similar_names
from bot.read_models import models, serializers
from bot.read_models.queue_texts import start_words
from leaderboard.times import read_time

MAX_REQUESTS = 10
"""Requests of one model that an answer shows."""


def run(call: Call) -> Answer:
    """Show each request with its state, its place or progress, and its links."""
    requests = [serializers.request(call.context, entry) for entry in call.entries[:MAX_REQUESTS]]
    more = len(call.entries) - len(requests)
    near = similar_names(call.context, call.model) if not requests else ()
    return Answer(say("status", model=call.model, requests=requests, more=more, near=near, start=_start, held=_held))


def _start(place: models.QueuePositionView) -> str:
    if place.start is None:
        return ""
    earliest, latest = read_time(place.start.earliest), read_time(place.start.latest)
    return start_words(earliest or 0.0, latest) if latest is not None else ""


def _held(held: models.QueueBlockerView) -> str:
    return held.reason or f"{held.kind} {held.what}".strip()


STATUS = Verb(
    name="status",
    summary="show the state of a model's requests",
    who=ANYONE,
    run=run,
    params=(MODEL, PRECISION, WEIGHTS),
    about="model",
    examples=("/status", "/status org/model", "/status org/model precision=bfloat16"),
)
