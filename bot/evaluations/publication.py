"""The end of an attempt: copy what the worker published into the shared repos, and close the request.

Only the current attempt is published: the caller computed its id from the request file. The order is results and log,
then the comment, then the request file. So nothing is left to do once the request file states the end, even for a bot
that starts with an empty Redis. Paths come from the attempt: a second run finds the files of the first and continues.

Race accepted: a person cancels the request after the comment was written and before the file says the end. The comment
then says more than the file; both are true.
"""

from __future__ import annotations

from dataclasses import replace

from bot.core.context import BoardContext, request_key
from bot.core.log_repos import logs_repo, may_store_logs, public_log
from bot.evaluations import timing
from bot.evaluations.claims import compared_results
from bot.evaluations.published_files import check_results, details_repo, published_results
from bot.evaluations.recomputing import RECHECK_SECONDS
from bot.ledger.edits import PutFile
from bot.queue.dispatching import QUEUE
from bot.request_files.file_edits import stage_transition
from bot.request_files.status_thread import update_status
from bot.request_files.status_views import view_of
from bot.results.scores import store_scores, with_score_table
from hub.records import File, Repo
from leaderboard import transitions
from leaderboard.attempts import Failure, Outcome, number_in
from leaderboard.requests import Request
from leaderboard.results import ResultsFile, read_results
from redis_state.board.entry import IndexEntry
from redis_state.crashpoints import pass_by, point
from redis_state.dirty import SyncPriority

PUBLISHED = point("results and log are in, thread not told")
THREAD_UPDATED = point("thread told of the end, file not staged")


def finish(
    context: BoardContext, request: Request, file: File, entry: IndexEntry, outcome: Outcome, text: str
) -> float | None:
    """Publish the results of `outcome`, then stage FINISHED.

    The sync calls it again when the shared repos have results and log; only then it writes the comment, and the file
    after it. Raises Garbled, and is called again later, while the Hub may not show the results yet. Raises
    OutcomeMismatch, SamplesRefused and AnswersRefuted before anything is published. Returns when to call it again, if
    metrics or answers are still being computed.
    """
    timing.count_gpu_time(context, entry, outcome.attempt, outcome)
    entry = end_attempt(context, entry, outcome.attempt)
    path, results = check_results(context, request, outcome)
    data = compared_results(context, request, published_results(context, request, outcome, results))
    if data is None:
        return context.now() + RECHECK_SECONDS
    timing.count_end(context, entry, outcome.attempt, "finished", seconds=outcome.ended - outcome.started)
    log_url = log_address(context, request, outcome)
    has_log = keep_log(context, request, outcome, text)
    if not (has_log & keep_results(context, request, outcome, path, data)):
        return None
    pass_by(PUBLISHED)
    results = read_results(data, context.suite)  # with the bot's own record of the comparisons
    _close(context, request, file, entry, outcome, path, results, log_url)
    return None


def _close(
    context: BoardContext,
    request: Request,
    file: File,
    entry: IndexEntry,
    outcome: Outcome,
    path: str,
    results: ResultsFile,
    log_url: str,
) -> None:
    """Show the end in the thread, then stage FINISHED; the results, at `path`, and the log are in the shared repos."""
    scores = store_scores(context, request, path, results)
    view = replace(
        with_score_table(context, view_of(context, entry, request, "finished"), scores, request, results),
        results_url=context.address(context.results, path),
        details_url=context.address(details_repo(context, request)),
        log_url=public_log(context, log_url),
        has_log=bool(log_url),
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
    """Stage FAILED, with the reason in file and thread, and the log if there is one.

    The sync calls it again when the log has been stored; only then it writes the comment and the file.
    """
    attempt = outcome.attempt if outcome is not None else entry.attempt or ""
    entry = end_attempt(context, entry, attempt)
    timing.count_end(context, entry, attempt, failure.fault)
    if outcome is not None and not keep_log(context, request, outcome, text):
        return
    log_url = log_address(context, request, outcome) if outcome is not None else ""
    view = replace(
        view_of(context, entry, request, "failed", failure=failure),
        log_url=public_log(context, log_url),
        has_log=bool(log_url),
    )
    entry = update_status(context, entry, view, named=request.file.steward.thread)
    context.index.put(entry)
    pass_by(THREAD_UPDATED)
    number = number_in(attempt) or None
    if entry.kept is not None:
        file_revision = request.file.steward.revision or request.file.revision or "main"
        tried = outcome.revision if outcome is not None else file_revision
        step = transitions.restore_transition(
            entry.kept, tried=tried, failure=failure, log=log_url or None, thread=entry.thread, number=number
        )
    else:
        step = transitions.fail_transition(failure=failure, log=log_url or None, thread=entry.thread, number=number)
    after = _log_edits(outcome) if outcome is not None and log_url else ()
    name = f"fail {attempt or entry.path}"
    stage_transition(context, request, file, step, name=name, line=f"Fail {request.path.model}", after=after)


def end_attempt(context: BoardContext, entry: IndexEntry, attempt: str) -> IndexEntry:
    """Record the end of the attempt: its worker is free for the next one, before the request itself has ended."""
    timing.count_gpu_time(context, entry, attempt)
    ended = entry.changed(state="settled", attempt=attempt or None, job=None)
    if ended != entry:
        context.index.put(ended)
        context.mark(QUEUE, SyncPriority.PERSON)
    context.attempts.drop(attempt)
    return ended


def _log_repo(context: BoardContext, request: Request) -> Repo | None:
    """The repo for the request's logs; None where there is none that may hold them."""
    repo = logs_repo(context, context.index.get(str(request.path)).standing.access)
    return repo if may_store_logs(context, repo) else None


def keep_log(context: BoardContext, request: Request, outcome: Outcome, text: str) -> bool:
    """Whether log and outcome of an attempt are in the logs repo, or held back, so that the caller may continue.

    If not, they are staged.
    """
    log_edit, outcome_edit = _log_edits(outcome)
    if (repo := _log_repo(context, request)) is None:
        return True
    if context.ledger.edits.landed(log_edit, outcome_edit):
        return True
    model, path = request.path.model, str(request.path)
    log_data = (text or "The attempt left no log.\n").encode("utf-8", "replace")
    outcome_data = outcome.model_dump_json(indent=2).encode() + b"\n"
    line, wake = f"Add the log of {model}", (request_key(path),)
    folder = f"{model}/{outcome.attempt}"
    return not context.effects.stage(
        repo,
        PutFile(id=log_edit, path=f"{folder}/log.txt", data=log_data, line=line, subject=path, wake=wake),
        PutFile(id=outcome_edit, path=f"{folder}/outcome.json", data=outcome_data, line=line, subject=path, wake=wake),
    )


def keep_results(context: BoardContext, request: Request, outcome: Outcome, path: str, data: bytes) -> bool:
    """Whether the results are in the results repo, or held back, so that the caller may continue; else stage them."""
    edit, subject = _results_edit(outcome), str(request.path)
    if context.ledger.edits.landed(edit):
        return True
    line, wake = f"Add results of {request.path.model}", (request_key(subject),)
    put = PutFile(id=edit, path=path, data=data, line=line, subject=subject, wake=wake)
    return not context.effects.stage(context.results, put)


def log_address(context: BoardContext, request: Request, outcome: Outcome) -> str:
    """The address of the log of an attempt; "" where it is not stored."""
    repo = _log_repo(context, request)
    return context.address(repo, f"{request.path.model}/{outcome.attempt}/log.txt") if repo is not None else ""


def _log_edits(outcome: Outcome) -> tuple[str, str]:
    return f"log {outcome.attempt}", f"outcome {outcome.attempt}"


def _results_edit(outcome: Outcome) -> str:
    return f"results {outcome.attempt}"
