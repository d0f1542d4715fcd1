"""What somebody wants to have flagged, and what came of that: the words of `/flag`, `/unflag` and `/dismiss`.

What is wrong with a wish is told before anything is done, and most of it before the Hub is asked anything.
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
from leaderboard.flags import FlagScope
from leaderboard.links import models_in
from leaderboard.roles import Person

How = Literal[
    "flagged",
    "lifted",
    "dismissed",
    "upheld",
    "reported",
    "no-repo",
    "which",
    "no-reason",
    "too-many",
    "scope",
    "unknown",
    "official",
    "not-flagged",
    "nothing",
    "off",
]

NO_MARK = Safe("")
_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class FlagCommand:
    """What somebody wants flagged, and why; `models` as they wrote them, those of the thread where there are none."""

    category: str
    reason: str
    models: tuple[str, ...] = ()
    scope: FlagScope = field(default_factory=FlagScope)


@dataclass(frozen=True)
class FlagSource:
    """Who decides or reports, where, and the comment that does it."""

    repo: Repo
    thread: Thread
    person: Person
    cause: str
    path: str = ""
    """The request that the thread is about, if any."""


@dataclass(frozen=True)
class FlagResult:
    """What came of it: the models that it is about, those that nobody knows with names like theirs, and the thread."""

    how: How
    models: tuple[str, ...] = ()
    unknown: tuple[tuple[str, tuple[str, ...]], ...] = ()
    reason: str = ""
    category: str = ""
    thread: str = ""
    is_here: bool = True
    hides: bool = True
    most: int = 0
    """How many models are taken at once, where there were more."""
    precisions: tuple[str, ...] = ()
    """Those that a flag can be of, where it was to be of another."""
    mark: Safe = NO_MARK
    """A hidden line that the reply must hold."""


def models_of_thread(said: FlagSource) -> tuple[str, ...]:
    """The models that a thread is about: those of its title, else the one of its request."""
    model, found, _ = said.path.partition("_eval_request_")
    return tuple(models_in(said.thread.title)) or ((model,) if found else ())


def resolve_models(
    context: BoardContext, command: FlagCommand, said: FlagSource, most: int
) -> list[ResolvedName] | FlagResult:
    """What the names mean, each model once; or what is wrong with them, so that nothing is done."""
    models = command.models or models_of_thread(said)
    if not models:
        return FlagResult("which")
    if (trouble := problem_with(models, command.reason, most)) is not None:
        return trouble
    found = [find_model(context, one) for one in models]
    unknown = tuple((one.said, tuple(similar_names(context, one.model))) for one in found if not one.is_known)
    return FlagResult("unknown", unknown=unknown) if unknown else list({one.model: one for one in found}.values())


def problem_with(models: Sequence[str], reason: str, most: int) -> FlagResult | None:
    """What is wrong with a command before anybody is asked what its names mean."""
    if not reason.strip():
        return FlagResult("no-reason")
    return FlagResult("too-many", most=most) if len(models) > most else None


def resolve_scope(context: BoardContext, requested_scope: FlagScope) -> FlagScope | None:
    """The scope as flags are compared with evaluations; None for one that would hold for none, as of a branch."""
    revision, said = requested_scope.revision.lower(), requested_scope.precision.casefold()
    precision = next((one for one in context.board.precisions if one.casefold() == said), "")
    is_right = (not revision or _COMMIT.fullmatch(revision)) and bool(said) == bool(precision)
    return FlagScope(revision=revision, precision=precision) if is_right else None
