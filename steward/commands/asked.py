"""What `steward check` and `steward submit` have in common: which model is meant, and reasons for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bot.read_models.check_models import ReasonView
    from leaderboard.reasons import Problem

Model = Annotated[str, typer.Argument(help="The model's id on the Hub: org/name.")]
Precision = Annotated[str, typer.Option(help="At which it is evaluated.")]
Revision = Annotated[str, typer.Option(help="A branch, a tag or a commit.")]
WeightType = Annotated[str, typer.Option(help="Original, Delta or Adapter.")]


def reason_lines(reason: Problem | ReasonView, mark: str) -> Iterator[str]:
    """One reason behind `mark`, and below it what to do about it, where there is anything."""
    from bot.core.render import printable  # strangers' words, without what moves a terminal's cursor

    yield f"{mark}{printable(reason.message)}{f' (See {reason.link})' if reason.link else ''}"
    if reason.advice:
        yield f"{' ' * len(mark)}→ {printable(reason.advice)}"
