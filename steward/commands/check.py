"""`steward check`: checks a model by the rules for submissions, without submitting it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from leaderboard.options import DEFAULT_PRECISION
from steward.commands.board import AsJson, open_board

if TYPE_CHECKING:
    from bot.model_facts.checking import AdmissionCheck, AdmissionCheckLine
    from bot.read_models.check_models import ReasonView
    from leaderboard.reasons import Problem

Model = Annotated[str, typer.Argument(help="The model's id on the Hub: org/name.")]
Precision = Annotated[str, typer.Option(help="The precision of the evaluation.")]
Revision = Annotated[str, typer.Option(help="A branch, a tag or a commit.")]
WeightType = Annotated[str, typer.Option(help="Original, Delta or Adapter.")]

REFUSED = 1
MARKS = {"passed": "ok", "failed": "FAIL", "not-looked-at": "-"}


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(check)


def check(
    model: Model,
    precision: Precision = DEFAULT_PRECISION,
    revision: Revision = "main",
    weight_type: WeightType = "Original",
    submitter: Annotated[str, typer.Option(help="The Hub user whose quota is checked; none if left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show which rules for submissions a model passes and which it fails. Exit status 1 if it would be refused."""
    from bot.model_facts.checking import check as judge

    with open_board() as context:
        result = judge(
            context,
            model,
            revision=revision,
            precision=precision,
            weight_type=weight_type,
            submitter=submitter,
            public=False,
        )
    print(json.dumps(_fields(result)) if as_json else "\n".join([*map(_line_words, result.lines), _end(result)]))
    raise typer.Exit(0 if result.accepted else REFUSED)


def _fields(result: AdmissionCheck) -> dict[str, object]:
    lines = [
        {
            "rule": line.rule,
            "title": line.title,
            "outcome": line.outcome,
            "reasons": [reason.model_dump() for reason in line.reasons],
        }
        for line in result.lines
    ]
    head = {"model": result.model, "accepted": result.accepted, "revision": result.verdict.sha, "access": result.access}
    return {**head, "rules": lines}


def _line_words(line: AdmissionCheckLine) -> str:
    reasons = (words for reason in line.reasons for words in reason_lines(reason, " " * 6))
    return "\n".join([f"{MARKS[line.outcome]:5} {line.title}", *reasons])


def _end(result: AdmissionCheck) -> str:
    failed = sum(line.outcome == "failed" for line in result.lines)
    if result.accepted:
        return f"{result.model} would be accepted at {(result.verdict.sha or '')[:8]}."
    return f"{result.model} would not be accepted: {failed} of {len(result.lines)} rules fail."


def reason_lines(reason: Problem | ReasonView, mark: str) -> Iterator[str]:
    """Yield one reason after `mark`, and its advice in the next line."""
    from bot.core.render import printable

    yield f"{mark}{printable(reason.message)}{f' (See {reason.link})' if reason.link else ''}"
    if reason.advice:
        yield f"{' ' * len(mark)}→ {printable(reason.advice)}"
