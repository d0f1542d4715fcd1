"""`steward rescore`: computes scores of finished evaluations again from their stored answers, without a GPU."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from steward.commands.board import PYARROW_MISSING, AsJson, model_named, worker_token
from steward.commands.output import ending, say
from steward.commands.rescore_report import EvaluationReport, RescoringReport, as_json_text, conclusion, lines_of

if TYPE_CHECKING:
    from bot.core.context import BoardContext
    from bot.results.finished_requests import FinishedRequest
    from bot.results.rescoring import EarlierResults
    from hub.records import Repo
    from leaderboard.results import ResultsFile
    from leaderboard.suites import Suite
    from workers.rescoring.process import RescoredFile, RescoringProcess

REFUSED = 1
TABLES, NEW_TABLES = "tables", "new-tables"
"""Folders for the tables of answers of one evaluation."""


def register(app: typer.Typer) -> None:
    """Add the command to `steward`."""
    app.command()(rescore)


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
        typer.Option(
            "--harness", help="Also evaluations of this suite that another version of the harness or evaluator scored."
        ),
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Maximal number of evaluations, in order of paths; earlier commits last.")
    ] = None,
    processes: Annotated[int, typer.Option(min=0, help="Processes that compute; 0: one for each core.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Compute scores of finished evaluations again from their stored answers, where only the suite's scoring changed.

    No model runs. The new results name the earlier ones, which stay; the table follows, and the bot says once in the
    request's thread what changed. Needs what the suite's workers need to score (the harness, or the evaluator), and
    downloads all answers of each evaluation.
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
        raise ending(PYARROW_MISSING, 2)
    with open_board() as context:
        new = find_suite(suite) if suite else context.suite
        if not dry_run and new.digest != context.suite.digest:
            raise ending(_not_the_boards(context, new), 2)
        names = [model_named(model, context.hub.endpoint) for model in models or ()]
        try:
            report = RescoringReport(new, survey(context, new, models=names, limit=limit, same_suite=harness))
            if report.survey.due:
                with RescoringProcess(new.model_dump_json(), processes) as process:
                    RescoringRun(context, process, report, output, dry_run).rescore_all(is_quiet=as_json)
        except (HubError, MirrorDamaged, RescoringRefused) as error:
            raise ending(error, REFUSED) from error
    print(as_json_text(report, dry_run=dry_run)) if as_json else say(conclusion(report, dry_run=dry_run))
    failed = report.is_off or (report.evaluations and all(each.refused for each in report.evaluations))
    raise typer.Exit(REFUSED if failed else 0)


def _not_the_boards(context: BoardContext, new: Suite) -> str:
    return (
        f"the suite {new.name} ({new.digest[:12]}) is not the board's ({context.suite.digest[:12]}), which alone has a "
        "table. Use --dry-run, with --output for the files, or change the board's suite first."
    )


@dataclass(frozen=True)
class RescoringRun:
    """One run of the command: it rescores the evaluations of `report` one after the other."""

    context: BoardContext
    process: RescoringProcess
    report: RescoringReport
    output: Path | None
    dry_run: bool

    def rescore_all(self, *, is_quiet: bool) -> None:
        """Rescore what is due, and print what changed, unless `is_quiet`. Raises HubError."""
        from bot.core.render import printable
        from bot.results.rescoring import CannotRescore
        from workers.errors import RescoringRefused

        for finished in self.report.survey.due:
            evaluation = EvaluationReport(finished.name, is_earlier=bool(finished.commit))
            self.report.evaluations.append(evaluation)
            try:
                self._rescore(finished, evaluation)
            except (CannotRescore, RescoringRefused) as error:
                evaluation.refused = str(error)
            if not is_quiet:
                for line in lines_of(evaluation):
                    print(printable(line), flush=True)
            if self.report.is_off:
                return

    def _rescore(self, finished: FinishedRequest, evaluation: EvaluationReport) -> None:
        """Download, compute, and write. Raises CannotRescore, RescoringRefused and HubError."""
        from bot.results.rescoring import changes, may_publish, publish, read_earlier, save_tables
        from leaderboard.results import read_results
        from redis_state.clock import iso

        context, report = self.context, self.report
        earlier = read_earlier(context, finished)
        if earlier.is_scored_as(report.suite, report.scored):
            evaluation.is_alike = True
            return
        now = context.now()
        with tempfile.TemporaryDirectory(prefix="steward-rescore-") as name:
            folder = Path(name)
            samples = _output_folder(self.output, finished) if self.output is not None else folder / "samples"
            for place in (folder / TABLES, folder / NEW_TABLES, samples):
                place.mkdir(exist_ok=True)
            repos = save_tables(context, finished, earlier, report.suite, folder / TABLES)
            done, data = _compute(self.process, earlier, folder, samples, iso(now), dry_run=self.dry_run)
            results = read_results(data, report.suite)
            report.scored = done.scored or report.scored
            evaluation.is_alike = earlier.is_scored_as(report.suite, done.scored)
            evaluation.answers, evaluation.timed_out = done.answers, list(done.timed_out)
            evaluation.changed = changes(earlier, results)
            if self.output is not None:
                written = samples / "results.json"
                written.write_bytes(data)
                evaluation.written = str(written)
            if self.dry_run or evaluation.is_alike:
                return
            if may_publish(context) and not finished.commit:
                evaluation.details_refused = _publish_tables(
                    context, finished, repos, results, folder / NEW_TABLES, now
                )
            if publish(context, finished, earlier, data, now) is None:
                report.is_off = True


def _compute(
    process: RescoringProcess, earlier: EarlierResults, folder: Path, samples: Path, at: str, *, dry_run: bool
) -> tuple[RescoredFile, bytes]:
    """Score the tables in `folder` again; return the new results file too. Raises RescoringRefused."""
    old, new = folder / "earlier.json", folder / "results.json"
    old.write_bytes(earlier.data)
    new_tables = None if dry_run else folder / NEW_TABLES
    done = process.rescore(
        old, folder / TABLES, new, source=earlier.path, at=at, samples=samples, new_tables=new_tables
    )
    return done, new.read_bytes()


def _publish_tables(
    context: BoardContext,
    finished: FinishedRequest,
    repos: Mapping[str, Repo],
    results: ResultsFile,
    tables: Path,
    seconds: float,
) -> str:
    """Publish the tables of answers with the new scores; return the reason if the Hub refuses them, else "".

    It uses the worker's token if that is set, as the bot's may be unable to write details repos. Publish the tables
    before the results: a reader of the results looks for the tables of the same time. Raises HubError.
    """
    from hub.client import Hub
    from hub.errors import BadRequest, Denied, NotFound
    from hub.records import Repo
    from leaderboard.evaluations import details_of
    from leaderboard.results import file_time
    from workers.publication.rescored import publish_rescored

    names = context.board.repos
    token = worker_token()
    try:
        details = Repo("dataset", details_of(finished.request, names.details))  # BadRequest: it is not a repo's name
        with Hub(context.hub.endpoint, token) if token else nullcontext(context.hub) as hub:
            publish_rescored(
                hub,
                repos,
                results,
                context.suite,
                tables,
                time=file_time(seconds),
                details=details,
                restricted=names.restricted_details(finished.request.path.model),
            )
    except (Denied, NotFound, BadRequest) as error:
        return str(error)[:300]
    return ""


def _output_folder(output: Path, finished: FinishedRequest) -> Path:
    """Make and return an evaluation's folder: its request's path without the ending, and an earlier commit if any."""
    folder = output / f"{finished.path.removesuffix('.json')}{finished.name.removeprefix(finished.path)}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
