"""The sync of one request: read it from the Hub, decide, act.

The rule is `leaderboard.lifecycle.next_step`; this module gathers its facts and performs the step that it returns.
Effects come in the order results and log, comment, request file: if the bot dies in between, the next sync sees the
same facts and does the rest. Files are changed through the ledger: a sync stages an edit and returns, and is called
again when the edit has landed or is void.

Race closed: the file changes between reading and writing. An edit names the fields that its decision rests on; if one
of them changed, the edit is void and the next sync decides by the new file. A change to another field survives.
"""

from __future__ import annotations

import structlog

from bot.core.adoption import git_id
from bot.core.commit_origins import know_origin
from bot.core.context import BoardContext
from bot.evaluations import attempt as attempts
from bot.evaluations import publication, timing
from bot.evaluations.attempt import dismiss
from bot.predictions.checking import is_predictions
from bot.queue import outbreaks
from bot.queue.dispatching import QUEUE, is_outdated
from bot.request_files import queue_places
from bot.request_files.earlier_results import earlier_result
from bot.request_files.followers import mark_followers
from bot.request_files.gather import RequestFacts, gather, note_used_number
from bot.requests.admission import admit, refuse_unreadable
from bot.requests.first_look import skip_if_old, skip_if_old_and_large, with_file_fields
from bot.requests.prediction_steps import admit_predictions, publish_predictions
from bot.results.scoreboard import mark_missing_scores, mark_replaced_scores
from hub.errors import TooLarge
from hub.records import File
from leaderboard.lifecycle import (
    Admit,
    ConfirmClaim,
    Fail,
    Finish,
    LeaveForeign,
    NothingToDo,
    Recover,
    Reopen,
    ShowProgress,
    Step,
    Wait,
    next_step,
)
from leaderboard.requests import REASONS, Request, Status, parse_request
from redis_state.board.entry import EntryState, IndexEntry
from redis_state.board.request_snapshot import snapshot_of
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

_WITH_SCORES = (Status.FINISHED, Status.PENDING_NEW_EVAL, Status.CANCELLED)
"""Statuses of requests that have scores, or had some until they were removed."""


def sync_request(context: BoardContext, path: str) -> float | None:
    """Bring the request at `path` one step further; return when to sync it again (Unix time), if known."""
    if context.ledger.edits.is_pending(path):
        return None  # the ledger marks this key again when the edit has landed, or is void
    context.adoption.ensure()
    before = context.index.get(path)
    readable = _read(context, before)
    if readable is None:
        if before.job is not None:
            context.mark(QUEUE, SyncPriority.PERSON)  # its job may still be in RQ
        return None
    gathered = _gather(context, before, *readable)
    entry, request = gathered.entry, gathered.request
    may_try_again = attempts.may_try_again(context, gathered)
    step = next_step(request, gathered.attempt, gathered.seen, may_try_again=may_try_again)
    log.info("request", path=path, status=request.file.status, attempt=gathered.attempt, step=type(step).__name__)
    if isinstance(step, Admit) and _is_accepted(context, gathered, before):
        step = Wait(gathered.attempt or "")
    is_retry = request.file.steward.failure is not None  # the status may be PENDING: see `Board.listed`
    if isinstance(step, Admit) and is_retry and entry.again > context.now():
        if entry.state != "new":
            context.index.put(entry.changed(state="new"))  # pages show when it is retried
        return entry.again  # the retry table sets a delay for the cause of the failure
    if not isinstance(step, NothingToDo | LeaveForeign):
        know_origin(context, request)
    next_sync = _act(context, gathered, step)
    if gathered.entry.standing != before.standing and request.status in _WITH_SCORES:
        context.mark_model_page(request.path.model)
        mark_replaced_scores(context, before, gathered.entry)
    context.index.judged(path, entry.file_oid, entry.standing)
    if isinstance(step, NothingToDo | LeaveForeign):
        mark_followers(context, path)  # their syncs read the end from the index, so this comes after it
    return next_sync


def _read(context: BoardContext, entry: IndexEntry) -> tuple[File, Request] | None:
    """The file of `entry` and the request in it; None after a file that is gone, old or unreadable was handled."""
    path, commit = entry.path, context.request_files.newest()
    try:
        file = context.request_files.read(path, commit, max_bytes=context.board.max_request_bytes)
    except TooLarge:
        _dismiss_all(context, entry)
        _refuse_large(context, entry, commit)
        return None
    if file is None:
        _dismiss_all(context, entry)
        context.index.drop(path)
        mark_followers(context, path)
        return None
    blob = git_id(file.oid, len(file.data))
    request, entry = parse_request(path, file.data), entry.changed(file_oid=blob)
    if skip_if_old(context, entry, file, request):
        _dismiss_all(context, entry)  # it may have been queued before the board was adopted
        return None
    if isinstance(request, list):
        _dismiss_all(context, entry)
        refuse_unreadable(context, entry, file, request)
        return None
    return file, request


def _refuse_large(context: BoardContext, entry: IndexEntry, commit: str) -> None:
    """Refuse a file that is too large to read, unless it is an old one. One call."""
    file = context.hub.paths_info(context.requests, [entry.path], commit).get(entry.path)
    if file is not None:
        entry = entry.changed(file_oid=git_id(file.oid, file.size))
        if skip_if_old_and_large(context, entry, file):
            return
    limit = f"{context.board.max_request_bytes:,}"
    refuse_unreadable(context, entry, None, [REASONS["too-large"].problem(limit=limit)])


def _dismiss_all(context: BoardContext, entry: IndexEntry) -> None:
    """Stop every worker that evaluates the request or asks to: there is no request to evaluate any more."""
    for attempt in {entry.attempt, context.attempts.asking(entry.path)}:
        dismiss(context, attempt, None)


def _gather(context: BoardContext, before: IndexEntry, file: File, request: Request) -> RequestFacts:
    """Gather the facts about `request`, and stop workers that have another attempt than the current one."""
    if not before.model:  # the bot's own commit added it, by a rename, or it was unreadable until now
        before = with_file_fields(before, request)
    snapshot = snapshot_of(request, before.standing.access)
    blob = git_id(file.oid, len(file.data))
    seen = before.changed(file_oid=blob, kept=earlier_result(before, request), standing=snapshot)
    entry = note_used_number(context, seen, request)
    if request.file.steward.gpu_seconds:
        context.measures.recall(entry.path, request.file.steward.gpu_seconds)
    gathered = gather(context, entry, request, file)
    # Before a revision is pinned, the current attempt is unknown: the next sync will know it.
    asking = context.attempts.asking(entry.path) if gathered.attempt is not None else None
    for attempt in {entry.attempt, asking}:
        dismiss(context, attempt, gathered.attempt)
    return gathered


def _is_accepted(context: BoardContext, gathered: RequestFacts, before: IndexEntry) -> bool:
    """Whether this version of the file was accepted and waits: only its place in the queue may have changed."""
    entry = context.index.get(before.path)
    return (
        entry.state == "waiting"
        and entry.job is not None
        and entry.attempt == gathered.attempt is not None
        and before.file_oid == gathered.entry.file_oid
        and not is_outdated(context, entry)
    )


def _act(context: BoardContext, gathered: RequestFacts, step: Step) -> float | None:
    """Perform `step`; return when to sync the request again, if known."""
    if isinstance(step, Finish | Fail | Reopen) and step.outcome is not None:
        outbreaks.note(context, gathered.request.path.model, step.outcome)
    match step:
        case Admit() if is_predictions(gathered.request):
            admit_predictions(context, gathered)
        case Recover() if is_predictions(gathered.request):
            publish_predictions(context, gathered)
        case Admit():
            admit(context, gathered)
        case Wait():
            attempts.wait(context, gathered)
        case ConfirmClaim(committed=committed):
            attempts.claim(context, gathered, committed=committed)
        case ShowProgress():
            attempts.watch(context, gathered)
        case Finish(outcome=outcome):
            return attempts.finish(context, gathered, outcome)
        case Fail(failure=failure) | Reopen(failure=failure) if attempts.had_published(context, gathered, failure):
            log.info("published before its worker died", attempt=gathered.attempt)
        case Fail(failure=failure):
            request, file, entry = gathered.request, gathered.file, gathered.entry
            publication.fail(context, request, file, entry, failure, step.outcome, gathered.log)
        case Reopen():
            attempts.reopen(context, gathered, step)
        case Recover(attempt=attempt):
            return attempts.recover(context, gathered, attempt)
        case _:
            return _settle(context, gathered, step)
    return None


def _has_gpu_time(context: BoardContext, request: Request) -> bool:
    """Whether the file has the GPU time of all attempts, as far as the board's budgets need it.

    The time of an attempt that was cancelled while it ran is counted after that edit: a relaunch writes it.
    """
    spent = round(context.measures.spent_by(str(request.path)), 1)
    return context.board.budgets.by_request is None or spent <= request.file.steward.gpu_seconds


def _settle(context: BoardContext, gathered: RequestFacts, step: Step) -> float | None:
    """Note that nothing is left to do; return when to sync the request again, if answers are still being compared."""
    entry, attempt = gathered.entry, gathered.attempt
    dismiss(context, attempt, None)  # if it is still alive, a person ended the request by hand
    if attempt is not None and gathered.seen.life in ("running", "ended"):
        timing.count_gpu_time(context, entry, attempt, gathered.seen.outcome)
    if attempt is not None and gathered.seen.life == "ended":
        context.attempts.drop(attempt)
    if _has_gpu_time(context, gathered.request):
        context.measures.close(entry.path)
    state: EntryState = "foreign" if isinstance(step, LeaveForeign) else "settled"
    if entry.state != state:
        entry = entry.changed(state=state, job=None, unanswered=0.0)
        context.index.put(entry)
        context.mark(QUEUE, SyncPriority.PERSON)
        mark_missing_scores(context, [entry])
    if gathered.request.status is Status.CANCELLED:  # last, because this may raise RateLimited
        queue_places.show_cancelled(context, entry, gathered.request)
        return attempts.continue_check(context, gathered)
    return None
