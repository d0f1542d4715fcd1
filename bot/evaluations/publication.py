"""The end of an attempt: check what the worker published, copy it into the shared repos, and close the request.

Only the current attempt gets here: the caller computed its id from the request file. The order is results and log, then
the comment, then the request file. So a file that has come to an end needs nothing more, and whoever starts with an
empty Redis may leave all of those alone. Paths come from the attempt: a second run finds what is there and goes on.

Race accepted: somebody cancels the request after the thread was told and before the file says so. The comment then says
more than the file; both are true.
"""

from __future__ import annotations

import structlog
from pydantic import ValidationError

from bot.core.context import BoardContext, request_key
from bot.evaluations import costs, timing
from bot.ledger.edits import PutFile
from bot.queue.dispatching import QUEUE
from bot.request_files.file_edits import stage_transition
from bot.request_files.status_thread import update_status
from bot.request_files.status_views import view_of
from bot.results.scores import keep_scores, score_table
from hub.errors import NotFound, TooLarge
from hub.records import File, Repo
from leaderboard import transitions
from leaderboard.attempts import Details, Failure, Outcome, number_in
from leaderboard.details import PublishedOutcome, outcome_path, shared_results_path
from leaderboard.failures import cause
from leaderboard.requests import Request
from leaderboard.results import MAX_BYTES, BadResults, ResultsFile, read_results
from redis_state.board.entry import IndexEntry
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

MAX_OUTCOME = 100_000

PUBLISHED = point("results and log are in, thread not told")
THREAD_UPDATED = point("thread told of the end, file not staged")


class OutcomeMismatch(Exception):
    """What the details repo holds is not what the outcome says; the message tells how it differs."""


def finish(context: BoardContext, request: Request, file: File, entry: IndexEntry, outcome: Outcome, text: str) -> None:
    """Publish the results of `outcome`, then say FINISHED; FAILED where they are not what they should be.

    Called again when the shared repos have results and log: only then the thread is told, and the file after it.
    """
    costs.count(context, entry, outcome.attempt, outcome)
    entry = end_attempt(context, entry, outcome.attempt)
    try:
        path, results, data = check(context, request, outcome)
    except OutcomeMismatch as error:
        log.error("results refused", attempt=outcome.attempt, error=str(error))
        fail(context, request, file, entry, cause("results-refused").failure(str(error)), outcome, text)
        return
    timing.count_end(context, entry, outcome.attempt, "finished", seconds=outcome.ended - outcome.started)
    log_url = log_address(context, request, outcome) if may_keep_log(context, request) else ""
    kept = keep_log(context, request, outcome, text)
    if not (kept & keep_results(context, request, outcome, path, data)):
        return
    pass_by(PUBLISHED)
    view = view_of(
        context,
        entry,
        request,
        "finished",
        **score_table(context, keep_scores(context, request, path, results), request, results),
        results_url=context.address(context.results, path),
        details_url=context.address(details_repo(context, request)),
        log_url=log_url,
    )
    entry = update_status(context, entry, view, named=request.file.steward.thread)
    context.index.put(entry)
    pass_by(THREAD_UPDATED)
    step = transitions.finish_transition(
        number=number_in(outcome.attempt),
        revision=outcome.revision,
        results=path,
        log=log_url or None,
        thread=entry.thread,
    )
    line = f"Finish {request.path.model}"
    after = (_results_edit(outcome), *(_log_edits(outcome) if log_url else ()))
    stage_transition(context, request, file, step, name=f"finish {outcome.attempt}", line=line, after=after)


def fail(
    context: BoardContext,
    request: Request,
    file: File,
    entry: IndexEntry,
    failure: Failure,
    outcome: Outcome | None,
    text: str,
) -> None:
    """FAILED, with the reason in file and thread, and the log where there is one; called again when that is kept."""
    attempt = outcome.attempt if outcome is not None else entry.attempt or ""
    entry = end_attempt(context, entry, attempt)
    timing.count_end(context, entry, attempt, failure.fault)
    if outcome is not None and not keep_log(context, request, outcome, text):
        return
    kept = outcome is not None and may_keep_log(context, request)
    log_url = log_address(context, request, outcome) if outcome is not None and kept else None
    view = view_of(context, entry, request, "failed", failure=failure, log_url=log_url or "")
    entry = update_status(context, entry, view, named=request.file.steward.thread)
    context.index.put(entry)
    pass_by(THREAD_UPDATED)
    number = number_in(attempt) or None
    if entry.kept is not None:
        said = request.file.steward.revision or request.file.revision or "main"
        tried = outcome.revision if outcome is not None else said
        step = transitions.restore_transition(
            entry.kept, tried=tried, failure=failure, log=log_url, thread=entry.thread, number=number
        )
    else:
        step = transitions.fail_transition(failure=failure, log=log_url, thread=entry.thread, number=number)
    after = _log_edits(outcome) if outcome is not None and kept else ()
    name = f"fail {attempt or entry.path}"
    stage_transition(context, request, file, step, name=name, line=f"Fail {request.path.model}", after=after)


def end_attempt(context: BoardContext, entry: IndexEntry, attempt: str) -> IndexEntry:
    """The attempt is over: its worker is free for the next one, though the request has a few steps to its end."""
    costs.count(context, entry, attempt)
    over = entry.model_copy(update={"state": "settled", "attempt": attempt or None, "job": None})
    if over != entry:
        context.index.put(over)
        context.mark(QUEUE, SyncPriority.PERSON)
    context.attempts.drop(attempt)
    return over


def may_keep_log(context: BoardContext, request: Request) -> bool:
    """Whether a log may lie in the logs repo: that of a model which not all may see, only if not all may read that."""
    access = context.index.get(str(request.path)).standing.access
    return access == "public" or context.visibility.is_private(context.logs)


def keep_log(context: BoardContext, request: Request, outcome: Outcome, text: str) -> bool:
    """Whether to go on: log and outcome of an attempt are in the logs repo, or the board holds them back.

    Where that is not known, they are on their way.
    """
    log_edit, outcome_edit = _log_edits(outcome)
    if not may_keep_log(context, request):
        return True
    if context.ledgers.landed(log_edit, outcome_edit):
        return True
    model, path = request.path.model, str(request.path)
    words = (text or "The attempt left no log.\n").encode("utf-8", "replace")
    told = outcome.model_dump_json(indent=2).encode() + b"\n"
    line, wake = f"Add the log of {model}", (request_key(path),)
    folder = f"{model}/{outcome.attempt}"
    return not context.effects.stage(
        context.logs,
        PutFile(id=log_edit, path=f"{folder}/log.txt", data=words, line=line, subject=path, wake=wake),
        PutFile(id=outcome_edit, path=f"{folder}/outcome.json", data=told, line=line, subject=path, wake=wake),
    )


def keep_results(context: BoardContext, request: Request, outcome: Outcome, path: str, data: bytes) -> bool:
    """Whether to go on: the results are in the results repo, or held back. Else they are on their way."""
    edit, subject = _results_edit(outcome), str(request.path)
    if context.ledgers.landed(edit):
        return True
    line, wake = f"Add results of {request.path.model}", (request_key(subject),)
    put = PutFile(id=edit, path=path, data=data, line=line, subject=subject, wake=wake)
    return not context.effects.stage(context.results, put)


def log_address(context: BoardContext, request: Request, outcome: Outcome) -> str:
    """Where people find the log of an attempt."""
    return context.address(context.logs, f"{request.path.model}/{outcome.attempt}/log.txt")


def _log_edits(outcome: Outcome) -> tuple[str, str]:
    return f"log {outcome.attempt}", f"outcome {outcome.attempt}"


def _results_edit(outcome: Outcome) -> str:
    return f"results {outcome.attempt}"


def check(context: BoardContext, request: Request, outcome: Outcome) -> tuple[str, ResultsFile, bytes]:
    """Where the results of `outcome` go, they, and their bytes. Raises NotAsPromised where they are something else."""
    details, repo = outcome.details, details_repo(context, request)
    if details is None or details.repo != repo.id:
        raise OutcomeMismatch("the details are not in the repo of this model")
    path = shared_results_path(request.path.model, details.results_path)
    if path is None:
        raise OutcomeMismatch(f"{details.results_path[:100]} is not the name of a results file")
    try:
        file = context.hub.read_file(repo, details.results_path, details.commit, max_bytes=MAX_BYTES)
        results = read_results(file.data, context.suite)
        if not _is_on_main(context, repo, details, file):
            raise OutcomeMismatch("the results are not on the main branch, where workers alone write")
    except (NotFound, TooLarge, BadResults) as error:
        raise OutcomeMismatch(str(error)) from error
    said = (results.block.attempt, results.block.request, results.block.model, results.block.revision)
    if said != (outcome.attempt, str(request.path), request.path.model, outcome.revision):
        raise OutcomeMismatch("the results are of another attempt")
    return path, results, file.data


def _is_on_main(context: BoardContext, repo: Repo, details: Details, file: File) -> bool:
    """Whether a commit of `details`, or what it holds, is on the main branch: anybody may open a pull request, and its
    commits have addresses too."""
    head = context.hub.head(repo)
    if head == details.commit:
        return True
    kept = context.hub.find_file(repo, details.results_path, head, max_bytes=MAX_BYTES)
    return kept is not None and kept.oid == file.oid


def find_outcome(context: BoardContext, request: Request, attempt: str) -> Outcome | None:
    """The outcome that a worker published before it, or Redis, was lost; None where there is none that can be read, or
    that is of the suite as it is now."""
    repo, path = details_repo(context, request), outcome_path(attempt)
    try:
        file = context.hub.find_file(repo, path, max_bytes=MAX_OUTCOME)
        if file is None:
            return None
        outcome = PublishedOutcome.model_validate_json(file.data).outcome(repo.id, file.commit)
    except (NotFound, TooLarge, ValidationError) as error:
        log.warning("no outcome to recover", attempt=attempt, error=str(error)[:200])
        return None
    return outcome if (outcome.attempt, outcome.suite_digest) == (attempt, context.suite.digest) else None


def details_repo(context: BoardContext, request: Request) -> Repo:
    """The dataset that holds every sample of the model's evaluations."""
    return Repo("dataset", context.board.repos.details(request.path.model))
