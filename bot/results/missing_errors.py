"""Add standard errors to results files that lack them, on an operator's command: results from before Steward computed
errors, or one of their kinds.

    survey         find the results of the board's suite without all errors; read in a clone, without a call for each
    add_errors     compute the errors of one file from its published answers, by the worker's functions, and stage its
                   edit with the ledger, which writes many files in one commit

A command, not a task of the sync process: it is needed once, and reads every answer (with `open-llm-v2` some hundred
megabytes for each evaluation), so the operator chooses the time and the number. A file is written only if the answers
give all its published scores.

Race closed: the command dies halfway, or runs twice. A file with errors, or with a staged edit, is not read again.
Race closed: a person changes a results file meanwhile. The edit requires the content that was read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bot.core.context import BoardContext
from bot.ledger.edits import MAX_EDITED_BYTES, FieldEdit
from bot.results.contents import gather
from bot.results.details_tables import MAIN, TableUnusable, published_commit, read_rows, repo_with_table
from bot.results.scoreboard import SCORES_CHANGED
from hub.errors import BadRequest, Denied, NotFound, TooLarge
from leaderboard.details import table_path
from leaderboard.evaluations import MeasuredResults, details_of
from leaderboard.predictions import PREDICTIONS
from leaderboard.results import MAX_BYTES, ResultsFile, file_time, read_results, results_time
from leaderboard.scores import BadResults, ScoreErrors
from leaderboard.steward_block import errors_in_block
from leaderboard.suites import Benchmark

COLUMNS = ("doc_id", "doc", "filter", "metrics")
"""The columns of a table of answers from which errors follow."""


class CannotCompute(Exception):
    """The errors of one results file cannot be computed; the message says why."""


@dataclass(frozen=True)
class LackingErrors:
    """A results file that lacks errors: its path and blob id, and the details repo with its answers."""

    path: str
    oid: str
    details: str

    @property
    def model(self) -> str:
        """The model that its path names."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True)
class ErrorsSurvey:
    """The results files of the board's suite.

    `lacking`: those without all errors. `complete`: the number of those that have them. `older`: the number of those
    without Steward's block, whose details have another shape. `pending`: the number of those with a staged edit.
    """

    lacking: tuple[LackingErrors, ...]
    complete: int
    older: int
    pending: int


def survey(context: BoardContext, *, model: str = "", limit: int | None = None) -> ErrorsSurvey:
    """Survey all results files of the board's suite, or those of `model`; list at most `limit` lacking ones, in the
    order of their paths. A few calls. Raises HubError and MirrorDamaged."""
    sources = gather(context)
    oids = dict(context.contents_memory.results.keys())
    lacking, complete, older, pending = list[LackingErrors](), 0, 0, 0
    for path, measured in sorted(sources.measured.items()):
        if model and measured.model.casefold() != model.casefold():
            continue
        if measured.precision == PREDICTIONS:
            continue  # they have no stored answers of a model
        if not measured.request:
            older += 1
        elif _is_complete(measured):
            complete += 1
        elif context.ledger.edits.is_pending(path):
            pending += 1
        else:
            request = sources.requests.get(measured.request)
            details = context.board.repos.details
            repo = details_of(request, details) if request is not None else details(measured.model)
            lacking.append(LackingErrors(path, oids[path], repo))
    return ErrorsSurvey(tuple(lacking[:limit]), complete, older, pending)


def _is_complete(measured: MeasuredResults) -> bool:
    return measured.errors.average is not None and bool(measured.errors.benchmark_influences)


def add_errors(context: BoardContext, results: LackingErrors) -> bool:
    """Stage the errors of one results file; False if the board holds edits back. A call for each table of answers.

    Raises CannotCompute and HubError.
    """
    file = _read(context, results)
    facts = dict(errors_in_block(_errors(context, results, file)))
    edit = FieldEdit(
        id=f"errors {hashlib.sha256(f'{results.path} {results.oid}'.encode()).hexdigest()[:16]}",
        path=results.path,
        line=f"Add standard errors of {file.block.model}",
        subject=results.path,
        facts=facts,
        whole=results.oid,
        wake=(SCORES_CHANGED,),
    )
    return context.effects.stage(context.results, edit)


def _read(context: BoardContext, results: LackingErrors) -> ResultsFile:
    with context.mirror.read_fetched(context.results) as view:
        data = view.blob(results.oid, max_bytes=MAX_BYTES)
    if data is None or len(data) > MAX_EDITED_BYTES:
        raise CannotCompute(f"the file has more than {MAX_EDITED_BYTES // 1024**2} MB")
    try:
        return read_results(data, context.suite)
    except BadResults as error:
        raise CannotCompute(str(error)) from error


def _errors(context: BoardContext, results: LackingErrors, file: ResultsFile) -> ScoreErrors:
    """The errors of all scores in `file`. Raises CannotCompute if they do not follow from the answers."""
    from leaderboard.graded_answers import AnswerCollector, TaskAnswers  # numpy is heavy
    from leaderboard.uncertainty import standard_errors

    if file.block.rescored_from is not None:
        raise CannotCompute("its scores were computed again: `steward rescore` writes the errors with them")
    time = results_time(results.path)
    if time is None:
        raise CannotCompute("its name has no time")
    commit = published_commit(context, results.model, file.block.attempt)
    answers: dict[str, TaskAnswers | None] = {}
    for benchmark in context.suite.benchmarks:
        for task in benchmark.tasks:
            collector = AnswerCollector(task.name, benchmark, context.suite.withdrawn(task.name))
            for row in _rows(context, results, benchmark, table_path(task.name, file_time(time)), commit):
                collector.add(row)
            answers[task.name] = collector.answers()
    errors = standard_errors(answers, file.scores, context.suite).normalised
    missing = [name for name in file.scores.by_name if name not in errors.benchmarks]
    if missing:
        raise CannotCompute(f"the answers in {results.details} do not give the published score of {', '.join(missing)}")
    return errors


def _rows(
    context: BoardContext, results: LackingErrors, benchmark: Benchmark, path: str, commit: str
) -> Iterator[Mapping[str, Any]]:
    """The rows of a table of answers, read with the bot's token: some are gated, and these are read on main."""
    where, revision = results.details, commit
    try:
        repo = repo_with_table(context, results.model, results.details, benchmark, path)
        where, revision = repo.id, commit if repo.id == results.details else MAIN
        for row in read_rows(context.hub, repo, path, COLUMNS, commit=revision):
            if not isinstance(row["doc_id"], int) or not all(isinstance(row[name], str) for name in COLUMNS[1:]):
                raise CannotCompute(f"{path} in {where} is no table of answers")
            yield row
    except (NotFound, Denied, BadRequest):
        raise CannotCompute(f"{where} has no {path} at {revision[:8]}, or the bot may not read it") from None
    except TooLarge:
        raise CannotCompute(f"{path} in {where} is too large") from None
    except TableUnusable:
        raise CannotCompute(f"{path} in {where} is no table of answers") from None
