"""`/status`: show the state of a model's requests."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import ANYONE, MODEL, PRECISION, WEIGHTS
from bot.core.commands.targets import similar_names
from bot.core.context import BoardContext
from bot.core.render import Safe
from bot.read_models import serializers
from bot.read_models.queue_snapshot import take_snapshot
from bot.request_files.status_text import start_words
from redis_state.board.entry import IndexEntry

MAX_REQUESTS = 10
"""Requests of one model that an answer shows."""


def run(call: Call) -> Answer:
    """Show each request with its state, its place or progress, and its links."""
    return Answer(status_text(call.context, call.model, call.entries))


def status_text(context: BoardContext, model: str, entries: Sequence[IndexEntry]) -> Safe:
    """The state of the requests of a model, as Markdown."""
    requests = [serializers.request(context, entry) for entry in entries[:MAX_REQUESTS]]
    more = len(entries) - len(requests)
    near = similar_names(context, model) if not requests else ()
    return say("status", model=model, requests=requests, more=more, near=near, start=partial(_start, context))


def _start(context: BoardContext, path: str) -> str:
    outlook = take_snapshot(context).outlook(path)
    start = outlook.start if outlook is not None else None
    return start_words(start.earliest, start.latest) if start is not None else ""


STATUS = Verb(
    name="status",
    summary="show the state of a model's requests",
    who=ANYONE,
    run=run,
    params=(MODEL, PRECISION, WEIGHTS),
    about="model",
    examples=("/status", "/status org/model", "/status org/model precision=bfloat16"),
)
