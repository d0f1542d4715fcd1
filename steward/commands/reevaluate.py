"""`steward reevaluate`: queues finished requests again after a change of the suite."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import Apply, model_named
from steward.commands.output import ending, say

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.setup.reevaluating import ReevaluationSurvey

REFUSED = 1
SHOWN = 20
"""Requests that the text output lists."""


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(reevaluate)


@dataclass(frozen=True)
class ReevaluationReport:
    """The survey, and the number of requests that were queued again; None for a dry run."""

    suite: str
    survey: ReevaluationSurvey
    put_back: int | None


def reevaluate(
    apply: Apply = False,
    yes: Annotated[bool, typer.Option("--yes", hidden=True, help="The earlier name of --apply.")] = False,
    model: Annotated[str, typer.Option(help="Only requests of this model: org/model.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="Maximal number of requests, in order of paths.")] = None,
    adopted: Annotated[
        bool, typer.Option("--adopted", help="Also results from before Steward, whose suite is unknown.")
    ] = False,
    by: Annotated[str, typer.Option(help="Hub name of the person who decided it; the bot if left out.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, with every path.")] = False,
) -> None:
    """Queue requests with results of another suite than the board's for a new evaluation, as PENDING_NEW_EVAL.

    They run after all other requests. Their results stay visible until newer ones are published.
    """
    from bot.core.mirrors.folder import MirrorDamaged
    from bot.setup.reevaluating import survey
    from hub.errors import HubError
    from steward.commands.board import open_board

    with open_board() as context:
        try:
            survey_result = survey(context, model=model_named(model, context.hub.endpoint), old=adopted, limit=limit)
            report = ReevaluationReport(
                context.suite.name, survey_result, _put_back(context, survey_result, by) if apply or yes else None
            )
        except (HubError, MirrorDamaged) as error:
            raise ending(error, REFUSED) from error
    print(_as_json(report)) if as_json else say(_sentences(report))
    raise typer.Exit(REFUSED if survey_result.due and report.put_back == 0 else 0)


def _put_back(context: BoardContext, survey: ReevaluationSurvey, by: str) -> int:
    from bot.setup.reevaluating import put_back

    if not survey.due:
        return 0
    decider = context.hub.user(by) if by else context.me()
    return put_back(context, survey.due, by=decider, command=f"steward {' '.join(sys.argv[1:])}"[:2_000])


def _as_json(report: ReevaluationReport) -> str:
    survey = report.survey
    return json.dumps(
        {
            "suite": report.suite,
            "digest": survey.suite,
            "due": [{"path": item.path, "made_with": item.made_with or None} for item in survey.due],
            "current": survey.current,
            "tried": survey.tried,
            "adopted": survey.old,
            "changing": survey.changing,
            "unknown": list(survey.unknown),
            "put_back": report.put_back,
        }
    )


def _sentences(report: ReevaluationReport) -> str:
    survey = report.survey
    lines = [f"The board's suite is {report.suite}, digest {survey.suite[:12]}."]
    lines += [f"  {item.path} ({_made_with(item.made_with)})" for item in survey.due[:SHOWN]]
    if len(survey.due) > SHOWN:
        lines.append(f"  … and {len(survey.due) - SHOWN:,} more; --json lists all")
    lines.append(f"{len(survey.due):,} finished requests need a new evaluation.")
    lines += [f"{count:,} {words}" for count, words in _others(survey) if count]
    lines.append(_what_was_done(report))
    return "\n".join(lines)


def _made_with(digest: str) -> str:
    return f"made with {digest[:12]}" if digest else "from before Steward"


def _others(survey: ReevaluationSurvey) -> tuple[tuple[int, str], ...]:
    return (
        (survey.current, "have results of this suite."),
        (
            survey.tried,
            "were queued for this suite once, failed, and have their earlier results again: /relaunch them.",
        ),
        (survey.old, "have results from before Steward, of an unknown suite: --adopted includes them."),
        (survey.changing, "are being changed right now: try again in a minute."),
        (len(survey.unknown), "name results that are missing or unreadable: run `steward doctor`."),
    )


def _what_was_done(report: ReevaluationReport) -> str:
    if not report.survey.due:
        return "There is nothing to do."
    if report.put_back is None:
        return "Nothing was changed. With --apply, they are queued after all other requests and keep their results."
    if report.put_back == 0:
        return (
            "Nothing was changed: edits or relaunches are off or in shadow on this board; see `steward effects list`."
        )
    return f"{report.put_back:,} of them are queued within minutes, after all other requests, and keep their results."
