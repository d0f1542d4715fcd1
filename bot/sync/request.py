"""One request: read it afresh, decide, act.

The rule is `leaderboard.lifecycle.next_step`; here are the facts that it needs, and the effects of what it says.
Effects come in the order results and log, comment, request file: whatever dies in between is found half done by the
next sync, which sees the same facts and does the rest. Files are changed by way of the ledger: a sync stages an edit
and returns, and is called again when that has landed, or is void.

Race closed: the file changes between reading and writing. An edit names the fields that its decision rests on; if one
of them changed it is void, and the next sync decides from the file as it is then. A change to another field survives.
Race closed: two workers take one attempt. Both ask, the file names one attempt, and the job's id lets RQ run it once.
"""

from __future__ import annotations

from dataclasses import replace

import structlog

from bot.desk import Desk
from bot.facts import gather_submission, worth_keeping
from bot.index import Entry
from bot.standing import standing_of
from bot.sync import costs, outbreaks, places, publication, timing
from bot.sync.dates import is_being_dated
from bot.sync.earlier import earlier_result, show_earlier
from bot.sync.edits import digest_of, stage_transition
from bot.sync.following import call_followers
from bot.sync.gather import Gathered, asked, gather, life, note_spent
from bot.sync.numbers import used_numbers
from bot.sync.old import rest_if_old, rest_if_old_and_large
from bot.sync.origins import know_origin
from bot.sync.queue import QUEUE, job_for
from bot.sync.status_thread import tell
from bot.sync.unreadable import refuse_unreadable
from bot.sync.views import view_of
from hub.errors import TooLarge
from leaderboard import transitions
from leaderboard.admission import judge, refusal
from leaderboard.attempts import Failure
from leaderboard.effects import Effect, Mode
from leaderboard.failures import cause, may_retry
from leaderboard.lifecycle import (
    Admit,
    Claim,
    Fail,
    Finish,
    Foreign,
    Recover,
    Reopen,
    Settled,
    Step,
    Wait,
    Watch,
    current_attempt,
    next_step,
    turn,
)
from leaderboard.privacy import found_access
from leaderboard.requests import REASONS, Problem, Status, parse_request
from wire.attempts import BEAT
from wire.clock import iso
from wire.dirty import Priority
from wire.shadow import Would

log = structlog.get_logger()


def sync_request(desk: Desk, path: str) -> float | None:
    """Bring the request at `path` one step further; when to look again by itself, if ever (seconds since the epoch)."""
    if desk.ledgers.pending(path):
        return None  # the ledger marks us again when the edit has landed, or is void
    desk.adoption.ensure()
    entry = desk.index.get(path)
    try:
        file = desk.hub.find_file(desk.requests, path, max_bytes=desk.board.max_request_bytes)
    except TooLarge:
        if rest_if_old_and_large(desk, entry):
            return None
        problem = REASONS["too-large"].problem(limit=f"{desk.board.max_request_bytes:,}")
        refuse_unreadable(desk, entry, None, [problem])
        return None
    if file is None:
        _dismiss(desk, entry.attempt, None)
        desk.index.drop(path)
        return None
    before, entry = entry, entry.model_copy(update={"file_oid": file.oid})
    request = parse_request(path, file.data)
    if rest_if_old(desk, entry, file, request):
        _dismiss(desk, entry.attempt, None)  # it may have been taken for work before the board was adopted
        return None
    if isinstance(request, list):
        refuse_unreadable(desk, entry, file, request)
        return None
    entry = entry.model_copy(update={"kept": earlier_result(before, request)})
    standing = standing_of(request, entry.standing.access)
    entry = note_spent(desk, entry.model_copy(update={"standing": standing}), request)
    if request.file.steward.gpu_seconds:
        desk.measures.recall(path, request.file.steward.gpu_seconds)
    gathered = gather(desk, entry, request, file)
    # Before a revision is pinned it is not known which attempt is the current one: the next sync will know.
    asking = desk.attempts.asking(path) if gathered.attempt is not None else None
    for other in {entry.attempt, asking}:
        _dismiss(desk, other, gathered.attempt)
    step = next_step(request, gathered.attempt, gathered.seen, may_try_again=may_try_again(desk, gathered))
    log.info("request", path=path, status=request.file.status, attempt=gathered.attempt, step=type(step).__name__)
    if isinstance(step, Admit) and is_accepted(desk, gathered, before):
        step = Wait(gathered.attempt or "")
    if isinstance(step, Admit) and request.status is Status.RERUN and entry.again > desk.now():
        if entry.state != "new":
            desk.index.put(entry.model_copy(update={"state": "new"}))  # it waits, and everybody can see so
        return entry.again  # what failed is given the time that its cause asks for
    if not isinstance(step, Settled | Foreign):
        know_origin(desk, request)
    again = act(desk, gathered, step)
    desk.index.judged(path, file.oid, standing)
    return again


def is_accepted(desk: Desk, gathered: Gathered, before: Entry) -> bool:
    """Whether this very file was accepted and waits: only its place in the queue may have changed."""
    known = desk.index.get(before.path)
    return (
        known.state == "waiting"
        and known.job is not None
        and known.attempt == gathered.attempt is not None
        and before.file_oid == gathered.file.oid
        and known.job.suite_digest == desk.suite.digest
    )


def may_try_again(desk: Desk, gathered: Gathered) -> bool:
    """Whether the cause of an attempt's end is worth another try, and the board's budget has one left."""
    outcome, status, tries = gathered.seen.outcome, gathered.request.status, gathered.turn.tries
    if status is None or not (status.waits or status is Status.RUNNING):
        return False
    if outcome is None or outcome.failure is None or tries >= desk.board.attempts:
        return False
    return may_retry(outcome.failure.cause, tries) is not None and _may_relaunch(desk, gathered)


def _may_relaunch(desk: Desk, gathered: Gathered) -> bool:
    """Whether another attempt may follow by itself; where not, the request fails, and people decide.

    Where edits are held back too, that decides about the relaunch as about every edit.
    """
    if desk.effects.mode(Effect.RELAUNCH) is Mode.SHADOW and desk.effects.mode(Effect.EDIT) is not Mode.ON:
        return True
    would = Would(
        id=f"edit again {gathered.attempt}",
        effect=Effect.RELAUNCH,
        repo=f"{desk.requests.kind}/{desk.requests.id}",
        does=f"Try {gathered.request.path.model} again",
        path=str(gathered.request.path),
        status=Status.RERUN.value,
    )
    return desk.effects.allows(would)


def act(desk: Desk, gathered: Gathered, step: Step) -> float | None:
    """Do what `step` says."""
    if isinstance(step, Finish | Fail | Reopen) and step.outcome is not None:
        outbreaks.note(desk, gathered.request.path.model, step.outcome)
    match step:
        case Admit():
            admit(desk, gathered)
        case Wait():
            _wait(desk, gathered)
        case Claim(committed=committed):
            claim(desk, gathered, committed=committed)
        case Watch():
            _watch(desk, gathered)
        case Finish(outcome=outcome):
            publication.finish(desk, gathered.request, gathered.file, gathered.entry, outcome, gathered.log)
        case Fail(failure=failure) | Reopen(failure=failure) if published_before_it_died(desk, gathered, failure):
            log.info("published before its worker died", attempt=gathered.attempt)
        case Fail(failure=failure):
            request, file, entry = gathered.request, gathered.file, gathered.entry
            publication.fail(desk, request, file, entry, failure, step.outcome, gathered.log)
        case Reopen():
            reopen(desk, gathered, step)
        case Recover(attempt=attempt):
            return recover(desk, gathered, attempt)
        case _:
            _settle(desk, gathered, step)
    return None


def admit(desk: Desk, gathered: Gathered) -> None:
    """Judge the submission: refuse it with every reason, or let it wait for its turn."""
    if is_being_dated(desk, gathered):
        return
    request, entry = gathered.request, gathered.entry
    submitter = desk.index.origin(entry.path).submitter(request.file.sender)
    submission = gather_submission(desk, request, submitter, revision=gathered.turn.revision or "")
    facts, verdict = submission.model, judge(submission)
    access = entry.standing.model_copy(update={"access": found_access(request, facts)})
    entry = entry.model_copy(update={"standing": access, "submitter": submitter, **worth_keeping(facts)})
    gathered = replace(gathered, entry=entry)
    if not verdict.accepted:
        refuse(desk, gathered, verdict.reasons)
        return
    used = entry.used if entry.used is not None else used_numbers(desk, request, entry)
    now = turn(request, used)
    attempt = current_attempt(desk.board.name, request, now, verdict.sha)
    entry = entry.model_copy(
        update={
            "state": "waiting",
            "model": request.path.model,
            "sha": now.revision or verdict.sha,
            "asked": asked(request),
            "number": now.number,
            "used": used,
            "attempt": attempt,
            "submitted": desk.now() if now.first > entry.number else places.submitted(desk, request, entry),
            "shown": 0,
            **places.asks(desk, entry, request, facts),
        }
    )
    entry = entry.model_copy(update={"job": job_for(desk, request, entry)})
    desk.index.put(entry)
    desk.mark(QUEUE, Priority.PERSON)
    show_earlier(desk, replace(gathered, entry=entry))
    places.tell_place(desk, entry, request)


def refuse(desk: Desk, gathered: Gathered, reasons: tuple[Problem, ...]) -> None:
    """FAILED, with every reason in the thread and the file."""
    request = gathered.request
    view = view_of(desk, gathered.entry, request, "refused", reasons=reasons)
    entry = tell(desk, gathered.entry, view, named=request.file.steward.thread)

    desk.index.put(entry)
    failure = refusal(reasons)
    if entry.kept is not None:
        step = transitions.restored(entry.kept, failure=failure, log=None, thread=entry.thread)
    else:
        step = transitions.failed(failure=failure, log=None, thread=entry.thread)
    name, line = f"refuse {gathered.file.oid} {digest_of(entry.path)}", f"Refuse {request.path.model}"
    if not stage_transition(desk, request, gathered.file, step, name=name, line=line, rests_on=transitions.JUDGED):
        desk.index.put(entry.model_copy(update={"state": "settled"}))  # judged: nobody shall look at it every minute


def claim(desk: Desk, gathered: Gathered, *, committed: bool) -> None:
    """Have RUNNING committed, which is the claim; once the file says so, let the worker go on."""
    request, entry, attempt = gathered.request, gathered.entry, gathered.attempt
    assert attempt is not None
    if committed:
        desk.attempts.answer_claim(attempt, granted=True)
        timing.began(desk, gathered)
        places.begun(desk, entry)
        _watch(desk, gathered)
        return
    revision = gathered.turn.revision or entry.sha
    assert revision is not None
    step = transitions.claimed(
        request,
        attempt=attempt,
        now=gathered.turn,
        revision=revision,
        thread=entry.thread,
        started=iso(desk.now()),
        cause=_what_reopened(desk, gathered),
    )
    line = f"Run {request.path.model}"
    if not stage_transition(desk, request, gathered.file, step, name=f"run {attempt}", line=line):
        desk.attempts.answer_claim(attempt, granted=False)
        desk.index.put(entry.model_copy(update={"state": "waiting"}))


def _what_reopened(desk: Desk, gathered: Gathered) -> str:
    """The commit by which somebody put back a request that had been claimed before; empty where nobody did."""
    now, commit = gathered.turn, desk.index.origin(gathered.entry.path).commit
    put_back = now.number == now.first > max(1, gathered.request.file.steward.attempt)
    return f"commit:{commit}" if put_back and commit else ""


def published_before_it_died(desk: Desk, gathered: Gathered, failure: Failure) -> bool:
    """Whether an attempt whose worker was lost had published its details by then; the request is finished if so."""
    if failure.cause != "worker-lost" or gathered.attempt is None:
        return False
    found = publication.find_outcome(desk, gathered.request, gathered.attempt)
    if found is not None:
        publication.finish(desk, gathered.request, gathered.file, gathered.entry, found, gathered.log)
    return found is not None


def reopen(desk: Desk, gathered: Gathered, step: Reopen) -> None:
    """Our fault: the next attempt waits, and the file says why; called again when the log of this one is kept."""
    request, now = gathered.request, gathered.turn
    entry = publication.leave(desk, gathered.entry, gathered.attempt or "")
    timing.ended(desk, entry, gathered.attempt or "", step.failure.fault)
    if step.outcome is not None and not publication.keep_log(desk, request, step.outcome, gathered.log):
        return
    view = view_of(desk, entry, request, "again", failure=step.failure)
    entry = tell(desk, entry, view, named=request.file.steward.thread)
    wait = may_retry(step.failure.cause, now.tries) or 0.0
    desk.index.put(entry.model_copy(update={"again": desk.now() + wait}))
    change = transitions.reopened(request, now=now, cause=step.cause, failure=step.failure, thread=entry.thread)
    if change is None:
        return
    name, line = f"again {gathered.attempt}", f"Try {request.path.model} again"
    stage_transition(desk, request, gathered.file, change, name=name, line=line, effect=Effect.RELAUNCH)


def recover(desk: Desk, gathered: Gathered, attempt: str) -> float | None:
    """The worker fell silent: it may have published all the same; else it is lost, which is never the model's fault."""
    born = float(desk.redis.set(desk.keys.born, desk.now(), nx=True, get=True) or desk.now())
    first_look = born + 2 * BEAT + 5
    if desk.now() < first_look:
        return first_look  # Redis is new: whoever lives has not had the time to say so
    request, file, entry = gathered.request, gathered.file, gathered.entry
    found = publication.find_outcome(desk, request, attempt)
    if found is not None:
        publication.finish(desk, request, file, entry, found, "")
        return None
    desk.attempts.cancel(attempt)  # should it live after all, its next beat tells it to publish nothing
    lost = cause("worker-lost").failure("it fell silent")
    if gathered.turn.tries < desk.board.attempts and _may_relaunch(desk, gathered):
        reopen(desk, gathered, Reopen(lost, None, cause=f"{attempt}:worker-lost"))
    else:
        publication.fail(desk, request, file, entry, lost, None, "")
    return None


def _wait(desk: Desk, gathered: Gathered) -> None:
    entry, request = gathered.entry, gathered.request
    if gathered.seen.life == "handed-back" or entry.job is None:
        ready = entry.model_copy(
            update={
                "state": "waiting",
                "attempt": gathered.attempt,
                "sha": gathered.turn.revision or entry.sha,
                "model": request.path.model,
            }
        )
        entry = ready.model_copy(update={"job": job_for(desk, request, ready)})
        desk.index.put(entry)
    places.rule(desk, request)
    desk.mark(QUEUE, Priority.PERSON)
    if entry.state in ("waiting", "queued"):
        places.tell_place(desk, desk.index.get(entry.path), request)


def _watch(desk: Desk, gathered: Gathered) -> None:
    """Show a running attempt, and its progress at most at a quarter, a half and three quarters."""
    entry, attempt = gathered.entry, gathered.attempt
    state = desk.attempts.read(attempt) if attempt else None
    progress = state.progress if state else None
    quarter = min(3, 4 * progress.done // progress.total) if progress and progress.total else 0
    entry = entry.model_copy(update={"state": "running", "attempt": attempt, "shown": max(entry.shown, quarter)})
    total = progress.total if progress is not None else 0
    view = view_of(
        desk, entry, gathered.request, "running", done=total * entry.shown // 4, total=total if entry.shown else 0
    )
    desk.index.put(entry)
    desk.index.put(places.merged(desk, tell(desk, entry, view, named=gathered.request.file.steward.thread)))


def _settle(desk: Desk, gathered: Gathered, step: Step) -> None:
    entry, attempt = gathered.entry, gathered.attempt
    _dismiss(desk, attempt, None)  # if it lives still, somebody ended the request by hand
    if attempt is not None and gathered.seen.life in ("running", "ended"):
        costs.count(desk, entry, attempt, gathered.seen.outcome)
    if attempt is not None and gathered.seen.life == "ended":
        desk.attempts.drop(attempt)
    if gathered.request.status is Status.CANCELLED:
        entry = places.tell_cancelled(desk, entry, gathered.request)
    desk.measures.close(entry.path)
    state = "foreign" if isinstance(step, Foreign) else "settled"
    if entry.state != state:
        desk.index.put(entry.model_copy(update={"state": state, "job": None}))
        desk.mark(QUEUE, Priority.PERSON)
    call_followers(desk, entry.path)


def _dismiss(desk: Desk, attempt: str | None, current: str | None) -> None:
    """Nobody wants `attempt` any more if it is not the `current` one: refuse its claim, or ask its worker to stop."""
    if attempt is None or attempt == current:
        return
    how = life(desk, attempt)
    if how == "taken":
        desk.attempts.answer_claim(attempt, granted=False)
    elif how == "running":
        desk.attempts.cancel(attempt)
