"""Admission of a waiting request: it is refused with every reason, or accepted and queued.

A file that cannot be read as a request is refused too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bot.core.context import BoardContext, request_key
from bot.ledger.edits import EditBase, FieldEdit
from bot.model_facts.board_facts import may_have_waited, with_model_facts
from bot.model_facts.checking import gather_submission, judge_on
from bot.queue.dispatching import QUEUE, job_for
from bot.read_models.models import WAITS_FOR_HUB
from bot.request_files import queue_places
from bot.request_files.attempt_numbers import numbers_before
from bot.request_files.earlier_results import show_earlier
from bot.request_files.file_edits import digest_of, stage_transition
from bot.request_files.gather import RequestFacts
from bot.request_files.status_thread import update_status
from bot.request_files.status_views import view_of, view_of_unreadable
from bot.requests.first_look import waits
from hub.errors import Transient
from hub.records import File
from leaderboard import transitions
from leaderboard.admission.facts import ModelFacts
from leaderboard.admission.rules import refusal
from leaderboard.dialects import foreign_dialect
from leaderboard.jsontext import object_in
from leaderboard.lifecycle import current_attempt_id, find_current_attempt, highest_used_number, submission_digest
from leaderboard.privacy import access_on_hub
from leaderboard.reasons import Problem
from leaderboard.requests import Request
from leaderboard.times import corrected_time
from redis_state.board.entry import EntryState, IndexEntry
from redis_state.board.request_snapshot import snapshot_of_unreadable
from redis_state.dirty import SyncPriority

MAX_PULL_AGE_SECONDS = 3600.0
"""How far the time of a submission by a pull request may be before the sync that first judges it."""


def admit(context: BoardContext, gathered: RequestFacts) -> None:
    """Judge the submission: refuse it with every reason, or queue it."""
    if is_being_dated(context, gathered, earliest=_earliest_time(context, gathered)):
        return
    request, entry = gathered.request, gathered.entry
    origin = context.index.origin(entry.path)
    submitter = origin.submitter(request.file.sender)
    try:
        submission = gather_submission(context, request, submitter, revision=gathered.current.revision or "")
    except Transient:
        _wait_for_hub(context, request)
        raise
    facts, verdict = submission.model, judge_on(context, submission)
    snapshot = entry.standing.with_access(access_on_hub(request, facts))
    entry = with_model_facts(entry, facts, request.path.weight_type).changed(
        standing=snapshot, submitter=submitter, submitter_id=origin.submitter_id, unanswered=0.0
    )
    gathered = replace(gathered, entry=entry)
    if verdict.accepted:
        _accept(context, gathered, facts, verdict.sha)
    else:
        refuse(context, gathered, verdict.reasons)


def _accept(context: BoardContext, gathered: RequestFacts, facts: ModelFacts, sha: str | None) -> None:
    """Let the request wait for a worker, at the commit `sha` of its model unless the file pins one."""
    request, entry = gathered.request, gathered.entry
    used = numbers_before(context, request, entry, sha)
    current = find_current_attempt(request, used)
    attempt = current_attempt_id(context.board.name, request, current, sha)
    # A request that ended before adoption has no number: its attempt is the first one.
    is_reopened = current.first > entry.number or (entry.state == "settled" and current.tries == 1)
    entry = queue_places.with_queue_facts(context, entry, request, facts).changed(
        state="waiting",
        model=request.path.model,
        sha=current.revision or sha,
        asked=submission_digest(request),
        number=current.number,
        used=used,
        attempt=attempt,
        submitted=context.now() if is_reopened else queue_places.waiting_since(context, request, entry),
        shown=0,
        again=0.0,
    )
    entry = entry.changed(job=job_for(context, request, entry))
    context.index.put(entry)
    context.mark(QUEUE, SyncPriority.PERSON)
    show_earlier(context, replace(gathered, entry=entry))
    queue_places.show_place(context, entry, request)


def _wait_for_hub(context: BoardContext, request: Request) -> None:
    """Note that the Hub does not answer about the model; after a while, report that in the request's thread, once.

    Where the Hub answers no calls at all, the report fails too, and comes when it answers calls about other repos.
    """
    entry = context.index.get(str(request.path))
    state: EntryState = "new" if entry.state == "settled" else entry.state
    entry = entry.changed(state=state, unanswered=entry.unanswered or context.now())
    context.index.put(entry)
    if entry.waits_for_hub(context.now()):
        view = replace(view_of(context, entry, request, "unanswered"), held=WAITS_FOR_HUB)
        context.index.put(update_status(context, entry, view, named=request.file.steward.thread))


def _earliest_time(context: BoardContext, gathered: RequestFacts) -> float:
    """The earliest submission time that the file may name: the author of a pull request could write any time into it.

    The quotas and the order of the queue depend on this time. A submission that was accepted before, that may have
    waited when Redis was lost, or that the bot reopened keeps its time.
    """
    own, request = context.index.get(gathered.entry.path), gathered.request
    is_by_pull_request = context.index.origin(own.path).pull is not None
    is_reopened_by_bot = request.file.steward.attempt > max(highest_used_number(request), own.used or 0)
    if not is_by_pull_request or may_have_waited(own) or is_reopened_by_bot or own.asked == submission_digest(request):
        return -math.inf
    return context.now() - MAX_PULL_AGE_SECONDS


def is_being_dated(context: BoardContext, gathered: RequestFacts, *, earliest: float = -math.inf) -> bool:
    """Stage an edit that sets the file's time to now if it is in the future or before `earliest`; return whether it was
    staged. The request is judged after that edit.

    Front ends order their queues by this time. False if the time may stay, or if the board allows no edits.
    """
    request, file = gathered.request, gathered.file
    corrected = corrected_time(request.file.submitted_time, context.now(), earliest=earliest)
    if corrected is None:
        return False
    step = transitions.Transition({"submitted_time": corrected})
    name, line = f"date {file.oid} {digest_of(str(request.path))}", f"Date {request.path.model}"
    return stage_transition(
        context, request, file, step, name=name, line=line, rests_on=(*transitions.RESTS_ON, "submitted_time")
    )


def refuse(context: BoardContext, gathered: RequestFacts, reasons: tuple[Problem, ...]) -> None:
    """Report every reason in the thread, and stage FAILED with them in the file."""
    request = gathered.request
    view = view_of(context, gathered.entry, request, "refused", reasons=reasons)
    entry = update_status(context, gathered.entry, view, named=request.file.steward.thread)
    context.index.put(entry)
    failure = refusal(reasons)
    if entry.kept is not None:
        tried = gathered.current.revision or request.file.revision or "main"
        step = transitions.restore_transition(entry.kept, tried=tried, failure=failure, log=None, thread=entry.thread)
    else:
        step = transitions.fail_transition(failure=failure, log=None, thread=entry.thread)
    name, line = f"refuse {gathered.file.oid} {digest_of(entry.path)}", f"Refuse {request.path.model}"
    if not stage_transition(context, request, gathered.file, step, name=name, line=line, rests_on=transitions.JUDGED):
        context.index.put(entry.changed(state="settled"))  # judged: no need to sync it again


def refuse_unreadable(context: BoardContext, entry: IndexEntry, file: File | None, problems: Sequence[Problem]) -> None:
    """Report every problem in the thread, and in the file if it is an object that waits for an evaluation.

    An object with another status is an old file in an unknown dialect, or was refused before: it stays as it is, and so
    does a file that was written for another backend.
    """
    fields = object_in(file.data) if file is not None else None
    snapshot = snapshot_of_unreadable(file.data if file is not None else None)
    entry = entry.changed(standing=snapshot)
    if fields is not None and (foreign_dialect(entry.path, fields) or not waits(fields)):
        context.index.put(entry.changed(state="settled" if entry.said else "foreign", job=None))
        return
    entry = entry.changed(standing=snapshot.failed_with(refusal(tuple(problems))))
    view = view_of_unreadable(context, entry, problems, writable=fields is not None)
    entry = update_status(context, entry, view)
    context.index.put(entry.changed(state="settled", job=None))
    if fields is not None and file is not None:
        _stage_refusal(context, entry, file, problems)


def _stage_refusal(context: BoardContext, entry: IndexEntry, file: File, problems: Sequence[Problem]) -> None:
    """Stage the refusal: it changes only the status and the bot's own object, and only in the version that was read."""
    step = transitions.fail_transition(failure=refusal(tuple(problems)), log=None, thread=entry.thread)
    edit = FieldEdit(
        id=f"refuse {file.oid} {digest_of(entry.path)}",
        path=entry.path,
        line=f"Refuse {entry.path}"[:400],
        subject=entry.path,
        fields=dict(step.fields),
        facts=dict(step.facts),
        whole=file.oid,
        base=EditBase(data=file.data, commit=file.commit, oid=file.oid),
        wake=(request_key(entry.path),),
    )
    context.effects.stage(context.requests, edit)
