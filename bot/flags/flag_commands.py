"""Inputs and results of `/flag`, `/unflag` and `/dismiss`, and the checks that come before any effect.

Most checks run before the first call to the Hub.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from bot.core.commands.targets import similar_names
from bot.core.context import BoardContext
from bot.core.render import Safe
from bot.flags.model_names import ResolvedName, find_model
from hub.records import Repo, Thread
from leaderboard.flags import FlagRecord, FlagScope
from leaderboard.links import models_in
from leaderboard.options import precision_named
from leaderboard.roles import Person

FlagOutcome = Literal[
    "flagged",
    "lifted",
    "dismissed",
    "upheld",
    "reported",
    "already",
    "no-repo",
    "which",
    "no-reason",
    "too-many",
    "scope",
    "unknown",
    "official",
    "opted-out",
    "narrower",
    "not-flagged",
    "nothing",
    "off",
]

NO_MARK = Safe("")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class FlagCommand:
    """A `/flag`: what to flag and why. `models` are as written; where it has none, those of the thread count."""

    category: str
    reason: str
    models: tuple[str, ...] = ()
    scope: FlagScope = field(default_factory=FlagScope)


@dataclass(frozen=True)
class FlagSource:
    """The person who decides or reports, the thread, and the comment that holds the command."""

    repo: Repo
    thread: Thread
    person: Person
    cause: str
    path: str = ""
    """The request that the thread is about, if any."""
    is_on_page: bool = False
    """Whether a button of a page gave the command, so that the thread gets no reply."""


@dataclass(frozen=True)
class FlagResult:
    """The result of a command: its models, unknown names with similar ones, and the thread of the flag or report."""

    how: FlagOutcome
    models: tuple[str, ...] = ()
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()
    reason: str = ""
    category: str = ""
    thread: str = ""
    is_here: bool = True
    hides: bool = True
    limit: int = 0
    """The largest number of models in one command, where this one has more."""
    precisions: tuple[str, ...] = ()
    """The precisions that a flag can name, where this one names another."""
    scope: FlagScope = field(default_factory=FlagScope)
    """What a new flag covers."""
    standing: tuple[FlagRecord, ...] = ()
    """The flags that a narrower one would end, or that leave nothing to report."""
    mark: Safe = NO_MARK
    """A hidden line that the reply must hold."""


def models_of_thread(source: FlagSource) -> tuple[str, ...]:
    """The models that a thread is about: those of its title, else the one of its request."""
    model, is_request, _ = source.path.partition("_eval_request_")
    return tuple(models_in(source.thread.title)) or ((model,) if is_request else ())


def resolve_models(
    context: BoardContext, command: FlagCommand, source: FlagSource, limit: int
) -> list[ResolvedName] | FlagResult:
    """The models that the command names, each once; or the problem that stops it."""
    models = command.models or models_of_thread(source)
    if not models:
        return FlagResult("which")
    if (problem := problem_with(models, command.reason, limit)) is not None:
        return problem
    resolved = [find_model(context, model) for model in models]
    unknown = tuple((name.written, tuple(similar_names(context, name.model))) for name in resolved if not name.is_known)
    return FlagResult("unknown", unknown=unknown) if unknown else list({name.model: name for name in resolved}.values())


def problem_with(models: Sequence[str], reason: str, limit: int) -> FlagResult | None:
    """The problem of a command that the bot finds without calls to the Hub; None if there is none."""
    if not reason.strip():
        return FlagResult("no-reason")
    return FlagResult("too-many", limit=limit) if len(models) > limit else None


def resolve_scope(context: BoardContext, requested: FlagScope) -> FlagScope | None:
    """The scope in the form that evaluations have; None for one that matches no evaluation, such as a branch."""
    revision, written = requested.revision.lower(), precision_named(requested.precision).casefold()
    precision = next((known for known in context.board.precisions if known.casefold() == written), "")
    is_valid = (not revision or _COMMIT.fullmatch(revision)) and bool(written) == bool(precision)
    return FlagScope(revision=revision, precision=precision) if is_valid else None
