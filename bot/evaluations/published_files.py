"""The files that a worker published in a details repo: read and checked before the bot copies them."""

from __future__ import annotations

import structlog
from pydantic import ValidationError

from bot.core.context import BoardContext
from bot.evaluations.claims import PublishedResults
from hub.errors import Garbled, TooLarge
from hub.records import File, Repo
from hub.retries import unless_gone
from leaderboard.attempts import Details, Outcome
from leaderboard.details import PublishedOutcome, outcome_path, shared_results_path
from leaderboard.requests import Request
from leaderboard.results import MAX_BYTES, ResultsFile, read_results
from leaderboard.scores import BadResults

log = structlog.get_logger()

MAX_OUTCOME_BYTES = 100_000
LATE_SECONDS = 300.0
"""Time after the end of an attempt for which the Hub may not show its commit yet: the Hub's servers and caches lag."""


class OutcomeMismatch(Exception):
    """The details repo does not hold the files that the outcome names; the message says the difference."""


class _NotShown(OutcomeMismatch):
    """The Hub does not show the results on the main branch of the details repo."""


def check_results(context: BoardContext, request: Request, outcome: Outcome) -> tuple[str, ResultsFile]:
    """Check the published results of `outcome`: return their path in the results repo, and the results.

    Raises OutcomeMismatch if the details repo holds something else, and Garbled while the Hub may still lag.
    """
    details, repo = outcome.details, details_repo(context, request)
    if details is None or details.repo != repo.id:
        raise OutcomeMismatch("the details are not in the repo of this model")
    path = shared_results_path(request.path.model, details.results_path)
    if path is None:
        raise OutcomeMismatch(f"{details.results_path[:100]} is not the name of a results file")
    try:
        file = _published_file(context, repo, details)
        results = read_results(file.data, context.suite)
    except _NotShown as error:
        if _may_lag(context, outcome):
            raise Garbled(f"The Hub does not show what a worker committed yet: {error}") from error
        raise
    except (TooLarge, BadResults) as error:
        raise OutcomeMismatch(str(error)) from error
    block = (results.block.attempt, results.block.request, results.block.model, results.block.revision)
    if block != (outcome.attempt, str(request.path), request.path.model, outcome.revision):
        raise OutcomeMismatch("the results are of another attempt")
    return path, results


def published_results(
    context: BoardContext, request: Request, outcome: Outcome, results: ResultsFile
) -> PublishedResults:
    """The results of `outcome`, which were checked, with the samples beside them."""
    assert outcome.details is not None
    repo = details_repo(context, request)
    return PublishedResults(outcome.attempt, repo, outcome.details, results, may_lag=_may_lag(context, outcome))


def _may_lag(context: BoardContext, outcome: Outcome) -> bool:
    """Whether the Hub may not show yet what the worker committed at the end of its attempt.

    The end is by the worker's clock, which may be ahead of this one.
    """
    return abs(context.now() - outcome.ended) < LATE_SECONDS


def _published_file(context: BoardContext, repo: Repo, details: Details) -> File:
    """The results file of `details`. Raises _NotShown if its commit or the main branch lacks it."""
    file = unless_gone(lambda: context.hub.find_file(repo, details.results_path, details.commit, max_bytes=MAX_BYTES))
    if file is None:
        raise _NotShown(f"{details.results_path} is not in the details repo")
    if not unless_gone(lambda: _is_on_main(context, repo, details, file)):
        raise _NotShown("the results are not on the main branch, where workers alone write")
    return file


def _is_on_main(context: BoardContext, repo: Repo, details: Details, file: File) -> bool:
    """Whether the commit of `details`, or the same results file, is on the main branch.

    Any account can open a pull request, whose commits can be read too: those do not count.
    """
    head = context.hub.head(repo)
    if head == details.commit:
        return True
    present = context.hub.find_file(repo, details.results_path, head, max_bytes=MAX_BYTES)
    return present is not None and present.oid == file.oid


def find_outcome(context: BoardContext, request: Request, attempt: str) -> Outcome | None:
    """The outcome that a worker published before it, or Redis, was lost.

    None if there is no readable one, or if it is not of the present version of the suite.
    """
    repo, path = details_repo(context, request), outcome_path(attempt)
    try:
        file = unless_gone(lambda: context.hub.find_file(repo, path, max_bytes=MAX_OUTCOME_BYTES))
        if file is None:
            return None
        outcome = PublishedOutcome.model_validate_json(file.data).outcome(repo.id, file.commit)
    except (TooLarge, ValidationError) as error:
        log.warning("no outcome to recover", attempt=attempt, error=str(error)[:200])
        return None
    return outcome if (outcome.attempt, outcome.suite_digest) == (attempt, context.suite.digest) else None


def details_repo(context: BoardContext, request: Request) -> Repo:
    """The dataset that holds every sample of the model's evaluations."""
    return Repo("dataset", context.board.repos.details(request.path.model))
