"""The model and the requests that a command is about: those that it names, else those of its thread."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from bot.core.commands.answers import refusal
from bot.core.commands.model import Answer, Arguments, Verb
from bot.core.context import BoardContext
from hub.comments import is_by, marker_of
from hub.records import Repo, Thread
from leaderboard.options import precision_named
from leaderboard.request_paths import RequestPath, parse_path
from redis_state.board.entry import IndexEntry

STATUS = "status"
"""Kind of the marker of a request's status comment; its key is the path of the request."""


@dataclass(frozen=True)
class CommandTarget:
    """The model ("" for none), the requests that are meant, and the submitter of the first of them."""

    model: str = ""
    entries: tuple[IndexEntry, ...] = ()
    submitter: str = ""


def find_target(
    context: BoardContext, verb: Verb, arguments: Arguments, repo: Repo, thread: Thread
) -> CommandTarget | Answer:
    """The target of a command; an answer that asks for it if it is unclear."""
    if verb.about == "nothing":
        return CommandTarget()
    model = arguments.get("model", "")
    entries = _entries(context, model, repo, thread)
    if not model and not entries:
        return CommandTarget() if verb.about == "anything" else refusal("which-model", usage=verb.usage)
    of_thread, entries = entries, [entry for entry in entries if is_meant(entry, arguments)]
    if not model and len({_model(entry) for entry in entries or of_thread}) > 1:
        return refusal("which-request", model="", count=len(of_thread), choices=_choices(of_thread))
    model = model or _model((entries or of_thread)[0])
    if verb.about == "request":
        if not entries:
            return refusal("no-request", model=model, near=", ".join(similar_names(context, model)))
        if len(entries) > 1:
            return refusal("which-request", model=model, count=len(entries), choices=_choices(entries))
    return CommandTarget(model, tuple(entries), submitter_of(context, entries[0]) if entries else "")


def _choices(entries: Sequence[IndexEntry]) -> list[str]:
    """The arguments that distinguish these requests, for each of them."""
    paths = [_path(entry) for entry in entries]
    models = [_model(entry) for entry in entries]
    names = [name for name in ("precision", "weight_type") if len({getattr(path, name) for path in paths}) > 1]
    if len(set(models)) == 1:
        models, names = [""] * len(paths), names or ["precision"]
    return sorted(
        {
            " ".join(filter(None, [model, *(f"{name}={getattr(path, name)}" for name in names)]))
            for model, path in zip(models, paths, strict=True)
        }
    )


def requests_of(context: BoardContext, repo: Repo, thread: Thread) -> list[str]:
    """The paths of the requests that the thread belongs to: from the index, and from the bot's markers in the thread.

    The requests that one pull request added share its thread, for which the index holds only one of them.
    """
    if repo != context.requests:
        return []
    in_index, me = context.index.of_thread(thread.num), context.me()
    paths = [in_index] if in_index is not None else []
    for comment in thread.comments:
        marker = marker_of(comment.text) if is_by(me, comment.author_id, comment.author_name) else None
        if marker is not None and (marker.board, marker.kind) == (context.board.name, STATUS):
            paths.append(marker.key)
    return list(dict.fromkeys(paths))


def submitter_of(context: BoardContext, entry: IndexEntry) -> str:
    """The submitter of a request: by its acceptance, else by its file, else the author of its last commit."""
    return entry.known_submitter or context.index.origin(entry.path).author


def _entries(context: BoardContext, model: str, repo: Repo, thread: Thread) -> list[IndexEntry]:
    if model:
        entries = context.index.of_model(model)
    else:
        entries = [entry for entry in context.index.find(requests_of(context, repo, thread)) if entry is not None]
    return [entry for entry in entries if not entry.is_private]  # threads are public


def is_meant(entry: IndexEntry, arguments: Arguments) -> bool:
    """Whether a request has the precision and the type of weights in `arguments`, as far as they are named."""
    path = _path(entry)
    precision = precision_named(arguments.get("precision", path.precision))
    weight_type = arguments.get("weight_type", path.weight_type)
    return precision.lower() == path.precision.lower() and weight_type.lower() == path.weight_type.lower()


def _path(entry: IndexEntry) -> RequestPath:
    path = parse_path(entry.path)
    return path if isinstance(path, RequestPath) else RequestPath("", entry.path, False, "", "")


def _model(entry: IndexEntry) -> str:
    return entry.model or _path(entry).model


def similar_names(context: BoardContext, model: str, *, most: int = 3) -> Sequence[str]:
    """Names of models on the board that are similar to `model`: of the same organisation, or with a similar name."""
    return difflib.get_close_matches(model, context.index.models_like(model), n=most, cutoff=0.6)
