"""Which model and which request a command is about: those it names, else those of the thread that it stands in."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.commands.answers import refusal
from bot.core.commands.model import Answer, Arguments, Verb
from bot.core.context import BoardContext
from hub.records import Repo, Thread
from leaderboard.requests import RequestPath, parse_path
from redis_state.board.entry import IndexEntry


@dataclass(frozen=True)
class CommandTarget:
    """The model ("" for none), its requests that are meant, and who brought the first of them."""

    model: str = ""
    entries: tuple[IndexEntry, ...] = ()
    submitter: str = ""


def find_target(
    context: BoardContext, verb: Verb, arguments: Arguments, repo: Repo, thread: Thread
) -> CommandTarget | Answer:
    """What a command is about; an answer that asks, where that is not clear."""
    if verb.about == "nothing":
        return CommandTarget()
    model = arguments.get("model", "")
    entries = _entries(context, model, repo, thread)
    if not model and not entries:
        return CommandTarget() if verb.about == "anything" else refusal("which-model", usage=verb.usage)
    model = model or _model(entries[0])
    entries = [entry for entry in entries if _is_meant(entry, arguments)]
    if verb.about == "request":
        if not entries:
            return refusal("no-request", model=model, near=", ".join(similar_names(context, model)))
        if len(entries) > 1:
            return refusal("which-request", model=model, count=len(entries), choices=_choices(entries))
    return CommandTarget(model, tuple(entries), submitter_of(context, entries[0]) if entries else "")


def _choices(entries: Sequence[IndexEntry]) -> list[str]:
    """What to write to tell these requests apart, for each of them."""
    places = [_where(entry) for entry in entries]
    names = [name for name in ("precision", "weight_type") if len({getattr(place, name) for place in places}) > 1]
    return sorted({" ".join(f"{name}={getattr(place, name)}" for name in names or ["precision"]) for place in places})


def submitter_of(context: BoardContext, entry: IndexEntry) -> str:
    """Who brought it: as its acceptance saw it, else as we wrote into its file, else who made its last commit."""
    return entry.whose or context.index.origin(entry.path).author


def _entries(context: BoardContext, model: str, repo: Repo, thread: Thread) -> list[IndexEntry]:
    if model:
        found = context.index.of_model(model)
    else:
        path = context.index.of_thread(thread.num) if repo == context.requests else None
        found = [entry for entry in context.index.find([path]) if entry is not None] if path else []
    return [entry for entry in found if not entry.is_private]  # a thread is read by everybody


def _is_meant(entry: IndexEntry, arguments: Arguments) -> bool:
    where = _where(entry)
    asked = {"precision": where.precision, "weight_type": where.weight_type}
    return all(arguments.get(name, value).lower() == value.lower() for name, value in asked.items())


def _where(entry: IndexEntry) -> RequestPath:
    where = parse_path(entry.path)
    return where if isinstance(where, RequestPath) else RequestPath("", entry.path, False, "", "")


def _model(entry: IndexEntry) -> str:
    return entry.model or _where(entry).model


def similar_names(context: BoardContext, model: str, *, most: int = 3) -> Sequence[str]:
    """Names of models on the board that are like `model`: of the same organisation, or with a like name."""
    return difflib.get_close_matches(model, context.index.models_like(model), n=most, cutoff=0.6)
