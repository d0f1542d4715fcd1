"""The check of a submission of predictions: who submits, when, and every problem of the file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.core.context import BoardContext
from bot.predictions.answers import load_answers, rules_of
from bot.predictions.quota import count_scored
from bot.predictions.tables import prediction_table
from hub.errors import Garbled, NotFound, TooLarge
from hub.records import File
from leaderboard.prediction_checks import check_predictions
from leaderboard.prediction_metrics import Value
from leaderboard.prediction_reasons import REASONS
from leaderboard.prediction_submissions import PredictionSubmission, predictions_file, season_of, submission_problems
from leaderboard.predictions import MAX_BYTES, MAX_ROWS, PREDICTIONS, PredictionRules, format_of
from leaderboard.reasons import Problem
from leaderboard.requests import Request
from leaderboard.seasons import ended_seasons, season_path
from redis_state.redis import text


@dataclass(frozen=True)
class ReadPredictions:
    """A file of predictions that was read and checked, or why it could not be; `file` is None if there is none."""

    path: str = ""
    file: File | None = None
    by_id: Mapping[str, Value] | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class CheckedSubmission:
    """A checked submission of predictions; `season` is the name of the one in which it counts, "" without one."""

    read: ReadPredictions
    season: str
    problems: tuple[Problem, ...]


def is_predictions(request: Request) -> bool:
    """Whether the request is for predictions, by its path."""
    return request.path.precision == PREDICTIONS


def takes_predictions(context: BoardContext) -> bool:
    """Whether the board takes predictions."""
    return context.suite.predictions is not None


def check_submission(
    context: BoardContext, request: Request, submitter: str, commit: str, *, submission: str | None = ""
) -> CheckedSubmission:
    """Check `request`, whose file of predictions is that of the requests repo at `commit`, as one of `submitter`.

    `submission` is its id, once it may take a place in the quota; None for a file that was scored before, which keeps
    its place and its season. Raises AnswersUnusable and HubError.
    """
    if not takes_predictions(context):
        return _not_taken()
    read = read_predictions(context, request, commit)
    return _checked(context, request, submitter, read, _committed(context, read, commit), submission)


def check_upload(context: BoardContext, request: Request, submitter: str, path: str, data: bytes) -> CheckedSubmission:
    """Check `data`, which is to be the file of predictions at `path`, before it is committed.

    Raises AnswersUnusable and HubError.
    """
    if not takes_predictions(context):
        return _not_taken()
    by_id, problems = check_file(context, path, data)
    return _checked(context, request, submitter, ReadPredictions(path, None, by_id, problems), context.now(), "")


def _not_taken() -> CheckedSubmission:
    problem = REASONS["predictions-not-taken"].problem()
    return CheckedSubmission(ReadPredictions(problems=(problem,)), "", (problem,))


def _checked(
    context: BoardContext,
    request: Request,
    submitter: str,
    read: ReadPredictions,
    submitted: float,
    submission: str | None,
) -> CheckedSubmission:
    rules = rules_of(context)
    facts = PredictionSubmission(
        org=request.path.org,
        submitter=submitter,
        now=context.now(),
        submitted=submitted,
        scored=count_scored(context, request.path.org, submission) if submission is not None else 0,
        is_private=request.path.private,
        weight_type=request.path.weight_type,
        ended=_frozen(context),
        was_scored=submission is None,
        season=request.file.steward.season or "",
    )
    problems = (*submission_problems(facts, rules), *read.problems)
    return CheckedSubmission(read, season_of(facts, rules), problems)


def _committed(context: BoardContext, read: ReadPredictions, commit: str) -> float:
    """When the file of predictions was committed: a submission in time counts, even if the bot reads it late."""
    if read.file is None or not rules_of(context).seasons:
        return context.now()
    entry = context.hub.last_commit(context.requests, read.path, commit)
    return entry.date.timestamp() if entry is not None and entry.date is not None else context.now()


def _frozen(context: BoardContext) -> frozenset[str]:
    """Names of the seasons with published tables. One call while Redis, which may be new, lacks one that has ended."""
    known = {text(name) for name in context.redis.hkeys(context.keys.seasons)}
    ended = ended_seasons(rules_of(context).seasons, context.now())
    missing = {season_path(season.name): season.name for season in ended if season.name not in known}
    if missing:
        known |= {missing[path] for path in context.hub.paths_info(context.results, list(missing))}
    return frozenset(known)


def read_predictions(context: BoardContext, request: Request, commit: str) -> ReadPredictions:
    """Read and check the file of predictions of `request` at `commit` of the requests repo. One call, as a rule.

    Raises AnswersUnusable and HubError.
    """
    rules = rules_of(context)
    path = predictions_file(request.path.model, request.fields.get(PREDICTIONS))
    if isinstance(path, Problem):
        return ReadPredictions(problems=(path,))
    try:
        file = find_predictions(context, path, commit)
    except TooLarge:
        return ReadPredictions(path, problems=(_problem("predictions-too-large", rules),))
    if file is None:
        return ReadPredictions(path, problems=(REASONS["predictions-gone"].problem(path=path),))
    by_id, problems = check_file(context, path, file.data)
    return ReadPredictions(path, file, by_id, problems)


def find_predictions(context: BoardContext, path: str, commit: str) -> File | None:
    """The file of predictions at `path`; None if there is none, or the commit itself is gone. One call.

    A server of the Hub that lags does not know a new commit, so another call confirms that it is gone. Raises TooLarge,
    and Garbled if the two answers differ.
    """
    try:
        return context.hub.find_file(context.requests, path, commit, max_bytes=MAX_BYTES)
    except NotFound as error:
        try:
            context.hub.paths_info(context.requests, [path], commit)
        except NotFound:
            return None
        raise Garbled(f"The Hub says that {commit[:8]} is gone, and shows it.") from error


def check_file(context: BoardContext, path: str, data: bytes) -> tuple[Mapping[str, Value], tuple[Problem, ...]]:
    """The predictions in `data`, the file at `path`, and every problem of it. Raises AnswersUnusable and HubError."""
    rules = rules_of(context)
    columns = (rules.id, rules.prediction)
    cells = context.probe.predictions(data, format_of(path), columns, max_rows=MAX_ROWS)
    if cells.error:
        return {}, (_problem(cells.error, rules, cells.words),)
    checked = check_predictions(prediction_table(cells), load_answers(context).by_id, rules)
    return checked.by_id, checked.problems


def _problem(code: str, rules: PredictionRules, words: Mapping[str, object] | None = None) -> Problem:
    fields = {"id": rules.id, "prediction": rules.prediction, "most": f"{MAX_BYTES:,}"}
    return REASONS[code].problem(**{**fields, **(words or {})})
