"""`steward check`: would a model be accepted? By the rules that a submission meets, without submitting it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from leaderboard.options import DEFAULT_PRECISION
from steward.commands.asked import Model, Precision, Revision, WeightType, reason_lines
from steward.commands.board import AsJson, open_board

if TYPE_CHECKING:
    from bot.model_facts.checking import AdmissionCheck, AdmissionCheckLine

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
    submitter: Annotated[str, typer.Option(help="Whose quota counts; nobody's in particular if left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say which rules of admission a model passes, and which it fails. Exit status 1 where it would be refused."""
    from bot.model_facts.checking import check as judge

    with open_board() as context:
        found = judge(
            context,
            model,
            revision=revision,
            precision=precision,
            weight_type=weight_type,
            submitter=submitter,
            public=False,
        )
    print(json.dumps(_fields(found)) if as_json else "\n".join([*map(_line_words, found.lines), _end(found)]))
    raise typer.Exit(0 if found.accepted else REFUSED)


def _fields(found: AdmissionCheck) -> dict[str, object]:
    lines = [
        {
            "rule": line.rule,
            "title": line.title,
            "outcome": line.outcome,
            "reasons": [reason.model_dump() for reason in line.reasons],
        }
        for line in found.lines
    ]
    known = {"model": found.model, "accepted": found.accepted, "revision": found.verdict.sha, "access": found.access}
    return {**known, "rules": lines}


def _line_words(line: AdmissionCheckLine) -> str:
    reasons = (words for reason in line.reasons for words in reason_lines(reason, " " * 6))
    return "\n".join([f"{MARKS[line.outcome]:5} {line.title}", *reasons])


def _end(found: AdmissionCheck) -> str:
    failed = sum(line.outcome == "failed" for line in found.lines)
    if found.accepted:
        return f"{found.model} would be accepted at {(found.verdict.sha or '')[:8]}."
    return f"{found.model} would not be accepted: {failed} of {len(found.lines)} rules fail."
