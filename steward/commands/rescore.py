"""`steward rescore`: computes scores of finished evaluations again from their stored answers, without a GPU."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steward.commands.board import AsJson, model_named
from steward.commands.output import ending, say

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.results.finished_requests import FinishedRequest
    from bot.results.rescoring import RescoringSurvey, ScoreChange
    from leaderboard.suites import Suite
    from workers.rescoring.process import RescoringProcess

REFUSED = 1
SHOWN = 5
"""Questions that ran out of time, and changed scores, that the text output names for each evaluation."""
_OTHER_EVALUATOR = (
    "the suite {suite} is evaluated by {evaluator}, and only answers that lm-eval scores can be scored again. Queue "
    "the finished requests for a new evaluation instead: steward reevaluate."
)


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(rescore)


@dataclass
class EvaluationReport:
    """One evaluation: why it keeps its scores (`refused`), or what changed and how many answers that follows from.

    `is_alike`: the same suite and code scored it already.
    """

    path: str
    is_alike: bool = False
    refused: str = ""
    answers: int = 0
    changed: list[ScoreChange] = field(default_factory=list)
    timed_out: list[str] = field(default_factory=list)
    written: str = ""
    """The file in the folder of --output; "" without one."""


@dataclass
class RescoringReport:
    """The survey, and each evaluation that was due. `is_off`: the board holds edits back. `scored`: the digest of what
    scores answers here, once it is known."""

    suite: Suite
    survey: RescoringSurvey
    evaluations: list[EvaluationReport] = field(default_factory=list)
    is_off: bool = False
    scored: str = ""


def rescore(
    models: Annotated[list[str] | None, typer.Argument(help="Models (org/model); without one, all.")] = None,
    suite: Annotated[
        str,
        typer.Option(help="The suite: a name, or a YAML file. Without it, the board's. Only the board's is written."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compute the scores and show what would change; write nothing to the Hub.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="A folder for the new results files and each question's metrics.")
    ] = None,
    harness: Annotated[
        bool,
        typer.Option("--harness", help="Also evaluations of this suite that another version of the harness scored."),
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Maximal number of evaluations, in order of paths.")] = None,
    processes: Annotated[int, typer.Option(min=0, help="Processes that compute; 0: one for each core.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compute scores of finished evaluations again from their stored answers, where only the suite's scoring changed.

    No model runs. The new results name the earlier ones, which stay; the table follows, and the request's thread hears
    once what changed. Needs the harness, as workers do, and downloads all answers of each evaluation.
    """
    from bot.core.mirrors.contents_table import can_write
    from bot.core.mirrors.folder import MirrorDamaged
    from bot.results.rescoring import survey
    from hub.errors import HubError
    from leaderboard.suites import find_suite
    from steward.commands.board import open_board
    from workers.errors import RescoringRefused
    from workers.rescoring.process import RescoringProcess

    if not can_write():
        raise ending("Answers are in Parquet files, and pyarrow is not installed: pip install '.[contents]'.", 2)
    with open_board() as context:
        new = find_suite(suite) if suite else context.suite
        if new.evaluator is not None:
            raise ending(_OTHER_EVALUATOR.format(suite=new.name, evaluator=new.evaluator.name), 2)
        if not dry_run and new.digest != context.suite.digest:
            raise ending(_not_the_boards(context, new), 2)
        names = [model_named(model, context.hub.endpoint) for model in models or ()]
        try:
            report = RescoringReport(new, survey(context, new, models=names, limit=limit, same_suite=harness))
            if report.survey.due:
                with RescoringProcess(new.model_dump_json(), processes) as process:
                    _rescore(context, process, report, output, dry_run=dry_run, is_quiet=as_json)
        except (HubError, MirrorDamaged, RescoringRefused) as error:
            raise ending(error, REFUSED) from error
    print(_as_json(report, dry_run=dry_run)) if as_json else say(_conclusion(report, dry_run=dry_run))
    failed = report.is_off or (report.evaluations and all(each.refused for each in report.evaluations))
    raise typer.Exit(REFUSED if failed else 0)


def _not_the_boards(context: BoardContext, new: Suite) -> str:
    return (
        f"the suite {new.name} ({new.digest[:12]}) is not the board's ({context.suite.digest[:12]}), which alone has a "
        "table. Use --dry-run, with --output for the files, or change the board's suite first."
    )


def _rescore(
    context: BoardContext,
    process: RescoringProcess,
    report: RescoringReport,
    output: Path | None,
    *,
    dry_run: bool,
    is_quiet: bool,
) -> None:
    """Rescore one evaluation after the other, and print what changed, unless `is_quiet`."""
    from bot.core.render import printable
    from bot.results.rescoring import CannotRescore
    from workers.errors import RescoringRefused

    for finished in report.survey.due:
        evaluation = EvaluationReport(finished.path)
        report.evaluations.append(evaluation)
        try:
            _rescore_one(context, process, report, finished, evaluation, output, dry_run=dry_run)
        except (CannotRescore, RescoringRefused) as error:
            evaluation.refused = str(error)
        if not is_quiet:
            for line in _lines(evaluation):
                print(printable(line), flush=True)
        if report.is_off:
            return


def _rescore_one(
    context: BoardContext,
    process: RescoringProcess,
    report: RescoringReport,
    finished: FinishedRequest,
    evaluation: EvaluationReport,
    output: Path | None,
    *,
    dry_run: bool,
) -> None:
    """Download, compute, and write. Raises CannotRescore, RescoringRefused and HubError."""
    from bot.results.rescoring import changes, publish, read_earlier, save_tables
    from leaderboard.results import read_results
    from redis_state.clock import iso

    earlier = read_earlier(context, finished)
    if earlier.is_scored_as(report.suite, report.scored):
        evaluation.is_alike = True
        return
    with tempfile.TemporaryDirectory(prefix="steward-rescore-") as name:
        folder = Path(name)
        tables, old, new = folder / "tables", folder / "earlier.json", folder / "results.json"
        tables.mkdir()
        old.write_bytes(earlier.data)
        save_tables(context, finished, earlier, report.suite, tables)
        samples = _output_folder(output, finished) if output is not None else None
        done = process.rescore(old, tables, new, source=earlier.path, at=iso(context.now()), samples=samples)
        data = new.read_bytes()
    report.scored = done.scored or report.scored
    evaluation.is_alike = earlier.is_scored_as(report.suite, done.scored)
    evaluation.answers, evaluation.timed_out = done.answers, list(done.timed_out)
    evaluation.changed = changes(earlier, read_results(data, report.suite))
    if samples is not None:
        place = samples / "results.json"
        place.write_bytes(data)
        evaluation.written = str(place)
    if not dry_run and not evaluation.is_alike and publish(context, finished, earlier, data) is None:
        report.is_off = True


def _output_folder(output: Path, finished: FinishedRequest) -> Path:
    """The new folder of one evaluation: the request's path without its ending."""
    folder = output / finished.path.removesuffix(".json")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _lines(evaluation: EvaluationReport) -> list[str]:
    if evaluation.refused:
        return [f"{evaluation.path}: keeps its scores, because {evaluation.refused}"]
    if evaluation.is_alike:
        return []
    if not evaluation.changed:
        lines = [f"{evaluation.path}: the same scores from {evaluation.answers:,} answers"]
    else:
        shown = [
            f"{each.name} {_number(each.before)} → {_number(each.now)}" for each in evaluation.changed[: SHOWN + 1]
        ]
        more = len(evaluation.changed) - len(shown)
        lines = [f"{evaluation.path}: {', '.join(shown)}{f', and {more} more' if more > 0 else ''}"]
    if evaluation.timed_out:
        named, more = evaluation.timed_out[:SHOWN], len(evaluation.timed_out) - SHOWN
        words = f"{', '.join(named)}{f', and {more} more' if more > 0 else ''}"
        lines.append(f"  a metric ran out of time, which counts as a wrong answer: {words}")
    return lines


def _number(score: float | None) -> str:
    return f"{score:.2f}" if score is not None else "–"


def _as_json(report: RescoringReport, *, dry_run: bool) -> str:
    survey = report.survey
    evaluations: list[dict[str, Any]] = [
        {
            "path": each.path,
            "refused": each.refused or None,
            "alike": each.is_alike,
            "answers": each.answers,
            "changed": {change.name: [change.before, change.now] for change in each.changed},
            "timed_out": each.timed_out,
            "written": each.written or None,
        }
        for each in report.evaluations
    ]
    return json.dumps(
        {
            "suite": report.suite.name,
            "digest": report.suite.digest,
            "due": [finished.path for finished in survey.due],
            "current": survey.current,
            "old": survey.old,
            "changing": survey.changing,
            "unknown": list(survey.unknown),
            "dry_run": dry_run,
            "off": report.is_off,
            "evaluations": evaluations,
        }
    )


def _conclusion(report: RescoringReport, *, dry_run: bool) -> str:
    survey, refused = report.survey, sum(bool(each.refused) for each in report.evaluations)
    alike = sum(each.is_alike for each in report.evaluations)
    done = [each for each in report.evaluations if not each.refused and not each.is_alike]
    lines = [f"The suite is {report.suite.name}, digest {report.suite.digest[:12]}."]
    counts = (
        (survey.current + alike, "have scores of this suite."),
        (survey.old, "are from before Steward: their answers have another form, and they stay."),
        (survey.changing, "are being changed right now: try again in a minute."),
        (len(survey.unknown), "name results that are missing or unreadable: run `steward doctor`."),
        (refused, "keep their scores, for the reasons above: `steward reevaluate` runs them."),
    )
    lines += [f"{count:,} {words}" for count, words in counts if count]
    changed = sum(bool(each.changed) for each in done)
    if report.is_off:
        lines.append("Nothing was changed: edits are off or in shadow on this board; see `steward effects list`.")
    elif not survey.due:
        lines.append("There is nothing to do.")
    elif dry_run:
        lines.append(f"{len(done):,} were computed, {changed:,} with other scores. Nothing was written to the Hub.")
    else:
        lines.append(f"{len(done):,} get new results within minutes, {changed:,} of them other scores.")
    return "\n".join(lines)
