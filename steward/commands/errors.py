"""`steward errors`: adds standard errors to results that were published without them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import PYARROW_MISSING, Apply, AsJson, model_named
from steward.commands.output import ending, say

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.results.missing_errors import ErrorsSurvey

REFUSED = 1
SHOWN = 20
"""Results files that the text output of a dry run lists."""


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(errors)


@dataclass
class ErrorsReport:
    """The survey, the files that get errors, and those that stay as they are, with the reason. `is_off`: the board
    holds edits back."""

    survey: ErrorsSurvey
    added: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    is_off: bool = False


def errors(
    apply: Apply = False,
    model: Annotated[str, typer.Option(help="Only results of this model: org/model.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Maximal number of results, in order of paths.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add standard errors to results that lack them, computed from the published answers.

    Each result costs a download of all its answers. Results whose answers do not give the published scores stay as they
    are.
    """
    from bot.core.mirrors.contents_table import can_write
    from bot.core.mirrors.folder import MirrorDamaged
    from bot.results.missing_errors import survey
    from hub.errors import HubError
    from steward.commands.board import open_board

    if apply and not can_write():
        raise ending(PYARROW_MISSING, 2)
    with open_board() as context:
        try:
            report = ErrorsReport(survey(context, model=model_named(model, context.hub.endpoint), limit=limit))
            if apply:
                _add(context, report, is_quiet=as_json)
        except (HubError, MirrorDamaged) as error:
            raise ending(error, REFUSED) from error
    print(_as_json(report, apply)) if as_json else say(_sentences(report, apply))
    raise typer.Exit(REFUSED if apply and report.survey.lacking and not report.added else 0)


def _add(context: BoardContext, report: ErrorsReport, *, is_quiet: bool) -> None:
    """Add errors to one results file after the other, and print a line for each, unless `is_quiet`."""
    from bot.core.render import printable
    from bot.results.missing_errors import CannotCompute, add_errors

    for results in report.survey.lacking:
        try:
            if not add_errors(context, results):
                report.is_off = True
                return
            report.added.append(results.path)
            line = f"{results.path}: computed"
        except CannotCompute as error:
            report.left[results.path] = str(error)
            line = f"{results.path}: left as it is, because {error}"
        if not is_quiet:
            print(printable(line), flush=True)


def _as_json(report: ErrorsReport, apply: bool) -> str:
    survey = report.survey
    return json.dumps(
        {
            "lacking": [results.path for results in survey.lacking],
            "complete": survey.complete,
            "older": survey.older,
            "pending": survey.pending,
            "added": report.added if apply else None,
            "left": report.left,
        }
    )


def _sentences(report: ErrorsReport, apply: bool) -> str:
    survey = report.survey
    lines = [f"  {results.path}" for results in survey.lacking[:SHOWN]] if not apply else []
    if not apply and len(survey.lacking) > SHOWN:
        lines.append(f"  … and {len(survey.lacking) - SHOWN:,} more; --json lists all")
    lines.append(f"{len(survey.lacking):,} results lack standard errors; {survey.complete:,} have them.")
    if survey.pending:
        lines.append(f"{survey.pending:,} get them within minutes.")
    if survey.older:
        lines.append(f"{survey.older:,} are from before Steward: their answers have another form, and they stay.")
    if report.is_off:
        lines.append("Nothing was changed: edits are off or in shadow on this board; see `steward effects list`.")
    elif apply:
        lines.append(f"{len(report.added):,} get errors within minutes; {len(report.left):,} stay as they are.")
    elif survey.lacking:
        lines.append("Nothing was changed. With --apply, the answers are read and the errors written.")
    return "\n".join(lines)
