"""The arguments that name a model, and the output of reasons, for `steward check` and `steward submit`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from leaderboard.reasons import Problem

Model = Annotated[str, typer.Argument(help="The model's id on the Hub: org/name.")]
Precision = Annotated[str, typer.Option(help="The precision of the evaluation.")]
Revision = Annotated[str, typer.Option(help="A branch, a tag or a commit.")]
WeightType = Annotated[str, typer.Option(help="Original, Delta or Adapter.")]


def reason_lines(reason: Problem, mark: str) -> Iterator[str]:
    """Yield one reason after `mark`, and its advice in the next line."""
    from bot.core.render import printable

    yield f"{mark}{printable(reason.message)}{f' (See {reason.link})' if reason.link else ''}"
    if reason.advice:
        yield f"{' ' * len(mark)}→ {printable(reason.advice)}"
