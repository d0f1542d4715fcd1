"""One attempt, from the worker's request for the claim to its end: claimed, watched, retried, or found lost.

Race closed: two workers ask for one attempt. The file names one attempt, and RQ runs a job of one id once.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from bot.core.context import BoardContext, request_key
from bot.core.waiting_threads import DIGEST
from bot.evaluations import publication, timing
from bot.evaluations.claims import SamplesRefused
from bot.evaluations.cross_check_reports import AnswersRefuted, CrossCheckClaim, QuestionsNotCounted
from bot.evaluations.cross_checks import cross_check
from bot.evaluations.published_files import OutcomeMismatch, check_results, details_repo, find_outcome
from bot.evaluations.recomputing import RECHECK_SECONDS
from bot.queue.dispatching import QUEUE, is_outdated, job_for
from bot.read_models.serializers import retry_view
from bot.request_files import queue_places
from bot.request_files.attempt_numbers import CLAIM
from bot.request_files.file_edits import stage_transition
from bot.request_files.gather import RequestFacts, attempt_life
from bot.request_files.status_thread import update_status
from bot.request_files.status_views import view_of
from leaderboard import transitions
from leaderboard.attempts import Failure, Outcome
from leaderboard.effects import Effect, EffectMode
from leaderboard.failures import cause, may_retry
from leaderboard.lifecycle import Reopen
from leaderboard.requests import Status
from redis_state import jobs
from redis_state.attempts import FIRST_BEATS
from redis_state.clock import iso
from redis_state.dirty import SyncPriority
from redis_state.set_aside import SetAsideWorker
from redis_state.shadowed_writes import ShadowedWrite

log = structlog.get_logger()


def wait(context: BoardContext, gathered: RequestFacts) -> None:
    """Queue an attempt that no worker has, and show its place in the status comment."""
    entry, request = gathered.entry, gathered.request
    life = gathered.seen.life
    # Dispatch skips an attempt that the index still shows as running.
    is_not_queued = life == "handed-back" or (life == "queued" and entry.state == "running")
    is_recalled = entry.state == "waiting" and is_outdated(context, entry)
    if is_not_queued or is_recalled or entry.job is None:
        entry = queue_places.without_place(entry).changed(
            state="waiting",
            attempt=gathered.attempt,
            sha=gathered.current.revision or entry.sha,
            model=request.path.model,
        )
        entry = entry.changed(job=job_for(context, request, entry))
        context.index.put(entry)
    queue_places.apply_ruling(context, request)
    context.mark(QUEUE, SyncPriority.PERSON)
    if entry.state in ("waiting", "queued"):
        queue_places.show_place(context, context.index.get(entry.path), request)


def claim(context: BoardContext, gathered: RequestFacts, *, committed: bool) -> None:
    """Stage RUNNING, which is the claim; when the file says so (`committed`), grant it to the worker."""
    request, entry, attempt = gathered.request, gathered.entry, gathered.attempt
    assert attempt is not None
    if committed:
        if not context.attempts.answer_claim(attempt, granted=True):
            return  # the worker just handed it back, which marks the request again
        timing.count_start(context, gathered)
        queue_places.note_turn_used(context, entry)
        watch(context, gathered)
        return
    if is_set_aside(context, attempt) or is_outdated(context, entry):
        context.attempts.answer_claim(attempt, granted=False)
        jobs.delete(context.redis, attempt)  # while RQ has a job of this id, it takes no other one
        context.index.put(entry.changed(state="waiting"))
        context.mark(QUEUE, SyncPriority.PERSON)
        return
    revision = gathered.current.revision or entry.sha
    assert revision is not None
    step = transitions.claim_transition(
        request,
        attempt=attempt,
        now=gathered.current,
        revision=revision,
        thread=entry.thread,
        started=iso(context.now()),
        cause=_reopening_cause(context, gathered),
    )
    line = f"Run {request.path.model}"
    if not stage_transition(context, request, gathered.file, step, name=f"{CLAIM} {attempt}", line=line):
        context.attempts.answer_claim(attempt, granted=False)
        context.index.put(entry.changed(state="waiting"))


def is_set_aside(context: BoardContext, attempt: str) -> bool:
    """Whether the worker that asks for the claim of `attempt` is set aside: its process may ask nevertheless."""
    state = context.attempts.read(attempt)
    if state is None:
        return False
    accounts = {card.name: card.account for card in context.workers.alive(now=context.now())}
    return context.set_aside.includes(state.worker, accounts.get(state.worker, ""))


def _reopening_cause(context: BoardContext, gathered: RequestFacts) -> str:
    """The cause `commit:{sha}` if a person's commit reopened a request that had been claimed before; else empty."""
    current, commit = gathered.current, context.index.origin(gathered.entry.path).commit
    is_reopened = current.number == current.first > max(1, gathered.request.file.steward.attempt)
    return f"commit:{commit}" if is_reopened and commit else ""


def watch(context: BoardContext, gathered: RequestFacts) -> None:
    """Show a running attempt; its progress is updated at a quarter, a half and three quarters."""
    entry, attempt = gathered.entry, gathered.attempt
    state = context.attempts.read(attempt) if attempt else None
    progress = state.progress if state else None
    quarter = min(3, 4 * progress.done // progress.total) if progress and progress.total else 0
    entry = entry.changed(state="running", attempt=attempt, shown=max(entry.shown, quarter))
    total = progress.total if progress is not None else 0
    view = view_of(context, entry, gathered.request, "running")
    view = replace(view, done=total * entry.shown // 4, total=total if entry.shown else 0)
    context.index.put(entry)
    context.index.put(
        queue_places.merge_announced(
            context, update_status(context, entry, view, named=gathered.request.file.steward.thread)
        )
    )


def had_published(context: BoardContext, gathered: RequestFacts, failure: Failure) -> bool:
    """Whether a failed attempt had published its details before; if so, finish the request.

    This happens if the worker was lost after the commit, or if the Hub failed after the commit had landed.
    """
    if failure.cause not in ("worker-lost", "publication-failed") or gathered.attempt is None:
        return False
    outcome = find_outcome(context, gathered.request, gathered.attempt)
    if outcome is not None:
        finish(context, gathered, outcome)
    return outcome is not None


def finish(context: BoardContext, gathered: RequestFacts, outcome: Outcome) -> float | None:
    """Publish the results of `outcome`, unless they differ from what the outcome says, or from their samples.

    If they differ, the attempt fails, and the next sync of the request lets another one follow; a worker whose samples
    contradict its results is set aside. Returns when to sync the request again, if known.
    """
    request, file, entry = gathered.request, gathered.file, gathered.entry
    try:
        return publication.finish(context, request, file, entry, outcome, gathered.log)
    except OutcomeMismatch as error:
        _refuse(context, gathered, outcome, cause("results-refused").failure(str(error)))
    except SamplesRefused as error:
        _set_aside(context, gathered, outcome, str(error))
        _refuse(context, gathered, outcome, cause("samples-differ").failure(str(error)))
    except AnswersRefuted as error:
        if isinstance(error, QuestionsNotCounted):  # the next attempt on this worker would end in the same way
            _set_aside(context, gathered, outcome, str(error))
        _refuse(context, gathered, outcome, cause("answers-differ").failure(str(error)))
    return None


def _refuse(context: BoardContext, gathered: RequestFacts, outcome: Outcome, failure: Failure) -> None:
    """End the attempt with `failure` in place of its results; the next sync reads it from Redis, without a call."""
    state, path = context.attempts.read(outcome.attempt), str(gathered.request.path)
    worker = state.worker if state is not None else ""
    log.error("results refused", attempt=outcome.attempt, worker=worker, error=failure.message)
    context.attempts.end(outcome.failed_with(failure), gathered.log, worker=worker)
    context.mark(request_key(path))


def _set_aside(context: BoardContext, gathered: RequestFacts, outcome: Outcome, reason: str) -> None:
    """Set the worker of the attempt aside, if it is known: it takes no more jobs. Notify the maintainers."""
    state = context.attempts.read(outcome.attempt)
    if state is None or not state.worker:
        return
    path, reason = str(gathered.request.path), reason[:2_000]
    aside = SetAsideWorker(worker=state.worker, attempt=outcome.attempt, path=path, reason=reason, at=context.now())
    context.set_aside.put(aside)
    context.mark(DIGEST, SyncPriority.EVENT)


def continue_check(context: BoardContext, gathered: RequestFacts) -> float | None:
    """Take the next step of the cross-check of results whose request was withdrawn; return when to call it again.

    Otherwise an account could withdraw wrong results before other workers refute them. Nothing is published.
    """
    request, outcome, policy = gathered.request, gathered.seen.outcome, context.board.workers
    if policy is None or outcome is None or outcome.details is None:
        return None
    try:
        _, results = check_results(context, request, outcome)
        location = (details_repo(context, request), outcome.details, results)
        has_begun = context.cross_checks.get(CrossCheckClaim(context, policy, request, *location).key) is not None
        is_over = not has_begun or cross_check(context, request, *location).done
    except (OutcomeMismatch, AnswersRefuted) as error:
        log.warning("results of a withdrawn request refused", attempt=outcome.attempt, error=str(error))
        return None
    return None if is_over else context.now() + RECHECK_SECONDS


def may_try_again(context: BoardContext, gathered: RequestFacts) -> bool:
    """Whether the cause of the failure allows a retry, and the board's budget has one left."""
    outcome, status, tries = gathered.seen.outcome, gathered.request.status, gathered.current.tries
    if status is None or not (status.waits or status is Status.RUNNING):
        return False
    if outcome is None or outcome.failure is None or tries >= context.board.attempts:
        return False
    return may_retry(outcome.failure.cause, tries) is not None and _may_relaunch(context, gathered)


def _may_relaunch(context: BoardContext, gathered: RequestFacts) -> bool:
    """Whether another attempt may follow automatically; if not, the request fails and people decide.

    If the board holds back edits too, True: the relaunch is then held back like every edit.
    """
    if (
        context.effects.mode(Effect.RELAUNCH) is EffectMode.SHADOW
        and context.effects.mode(Effect.EDIT) is not EffectMode.ON
    ):
        return True
    shadowed = ShadowedWrite(
        id=f"edit again {gathered.attempt}",
        effect=Effect.RELAUNCH,
        repo=f"{context.requests.kind}/{context.requests.id}",
        does=f"Try {gathered.request.path.model} again",
        path=str(gathered.request.path),
        status=context.board.listed(Status.RERUN).value,
    )
    return context.effects.allows(shadowed)


def reopen(context: BoardContext, gathered: RequestFacts, step: Reopen) -> None:
    """Queue the next attempt after a failure that the model did not cause, and write the cause into the file.

    The request's sync calls this again when the log of the failed attempt has been stored.
    """
    request, current = gathered.request, gathered.current
    entry = publication.end_attempt(context, gathered.entry, gathered.attempt or "")
    timing.count_end(context, entry, gathered.attempt or "", step.failure.fault)
    if step.outcome is not None and not publication.keep_log(context, request, step.outcome, gathered.log):
        return
    delay = may_retry(step.failure.cause, current.tries) or 0.0
    entry = entry.changed(again=context.now() + delay)
    view = view_of(context, entry, request, "again", failure=step.failure)
    view = replace(view, held=retry_view(entry.again) if delay else None)
    context.index.put(update_status(context, entry, view, named=request.file.steward.thread))
    change = transitions.reopen_transition(
        request, now=current, cause=step.cause, failure=step.failure, thread=entry.thread
    )
    if change is None:
        return
    name, line = f"again {gathered.attempt}", f"Try {request.path.model} again"
    stage_transition(context, request, gathered.file, change, name=name, line=line, effect=Effect.RELAUNCH)


def recover(context: BoardContext, gathered: RequestFacts, attempt: str) -> float | None:
    """Handle a worker without heartbeats: finish the request if it had published, else treat the worker as lost.

    A lost worker is never the model's fault. Returns when to sync the request again, if known.
    """
    first_check = context.heard_since() + FIRST_BEATS
    if context.now() < first_check:
        return first_check
    request, file, entry = gathered.request, gathered.file, gathered.entry
    outcome = find_outcome(context, request, attempt)
    if outcome is not None:
        return finish(context, gathered, outcome)
    if attempt_life(context, attempt) not in ("silent", "unseen"):
        return context.now()  # a heartbeat came during the calls to the Hub
    context.attempts.cancel(attempt)  # if the worker is alive after all, its next heartbeat stops the publication
    lost = cause("worker-lost").failure("it fell silent")
    if gathered.current.tries < context.board.attempts and _may_relaunch(context, gathered):
        reopen(context, gathered, Reopen(lost, None, cause=f"{attempt}:worker-lost"))
    else:
        publication.fail(context, request, file, entry, lost, None, "")
    return None


def dismiss(context: BoardContext, attempt: str | None, current: str | None) -> None:
    """Refuse the claim of `attempt`, or ask its worker to stop, unless it is the `current` one.

    A claim is also refused while its worker is silent: the worker may be cut off, and then still waits for the answer.
    An attempt that no worker has is void from now on: if a person reopens its request, the request is admitted again.
    """
    if attempt is None or attempt == current:
        return
    state = context.attempts.read(attempt)
    if state is not None and state.state in ("queued", "handed-back", "taken"):
        context.attempts.answer_claim(attempt, granted=False)
    elif attempt_life(context, attempt) == "running":
        context.attempts.cancel(attempt)
