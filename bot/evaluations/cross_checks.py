"""Lets a worker of another account compute some of the claimed answers again before results are published.

    receipt    the details are known by commit, and the Hub says which account committed them: one that the operator
               does not own is checked. Only now the bot draws a nonce, from which the questions follow
    order      a job in the queue of one worker of another account; a third one gets it if the second one disagrees
    report     a file in the details repo, whose commit names the account. `leaderboard.cross_checks` decides
    end        the results hold the record in `checked.again`; or they are refused, the account whose answers no other
               worker computes is set aside, and its results since its last good check are marked

Results wait for the check, at most for the hours of the board's policy, and some minutes where no other worker runs:
then they are published as not compared. They wait because a wrong score, once published, is read, copied and ranked.

Race closed: Redis was lost. Reports of the operator's own workers on the Hub name the nonce, so the same questions
follow from them, and nothing is computed twice. Others' reports could name a nonce of their choice: without one of the
operator's the check begins anew, with other questions, once for each loss.
Race accepted: a worker reports after its job counted as lost and another worker was asked. Both reports count.
Race accepted: the request is removed meanwhile. The worker reports into the details repo, and no sync reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from bot.core.context import BoardContext
from bot.evaluations.cross_check_reports import AnswersRefuted, CrossCheckClaim, begin_check, with_reports
from bot.evaluations.doubts import set_account_aside
from bot.queue.dispatching import job_for
from bot.read_models.queue_snapshot import aside_workers, held_workers
from hub.records import Repo
from leaderboard.attempts import Details
from leaderboard.cross_check_decisions import CrossCheckDecision, decide
from leaderboard.cross_checks import (
    MAX_SECONDS,
    MAX_TRIES,
    MAX_TRIES_OF_WORKER,
    AvailableWorker,
    CheckedQuestion,
    CrossCheckOrder,
    CrossCheckRecord,
    CrossCheckStatus,
    choose_worker,
)
from leaderboard.requests import Request
from leaderboard.results import ResultsFile
from redis_state import jobs
from redis_state.attempts import LOST
from redis_state.board.cross_checks import CrossCheckState, CrossCheckTry
from redis_state.clock import iso
from redis_state.set_aside import account_name, names_of

log = structlog.get_logger()

NO_WORKER_SECONDS = 600.0
"""Time without a heartbeat of a worker that could compute, and without an order, after which results wait no longer."""
AGAIN_SECONDS = 600.0
"""Time after which a worker whose try was lost, or failed for a temporary reason, gets another order."""
START_SECONDS = 120.0
"""Time after an order for which its worker counts as starting; and the silence after which it counts as lost."""
NO_WORKER = "no worker of another account runs"
LATE = "no worker of another account computed them in time"
NO_AUTHOR = "the Hub does not say which account published them"
OTHER_EVALUATOR = "answers of {name} are not computed again: only those of lm-eval are"
ASIDE = "the account {account} is set aside: answers that its workers published were not the model's"
REFUTED = "{count} of {compared} answers that were drawn are not the model's, by {by}: {reason}"


@dataclass(frozen=True)
class CrossCheckProgress:
    """Whether a cross-check is over, and its record for the results; None for workers that the operator owns."""

    done: bool
    record: CrossCheckRecord | None = None


def cross_check(
    context: BoardContext, request: Request, repo: Repo, details: Details, results: ResultsFile
) -> CrossCheckProgress:
    """Take the next step of the cross-check of these results, and return its progress.

    Raises AnswersRefuted and HubError.
    """
    policy = context.board.workers
    if policy is None:
        return CrossCheckProgress(done=True)
    claim = CrossCheckClaim(context, policy, request, repo, details, results)
    state = context.cross_checks.get(claim.key) or begin_check(claim)
    if state.record is not None:
        return CrossCheckProgress(True, state.record)
    if policy.owns(state.worker):
        return CrossCheckProgress(done=True)
    if not state.worker:  # the account might confirm its own answers, and could not be set aside
        return _settle(claim, state, CrossCheckRecord(worker="", status="not-compared", reason=NO_AUTHOR))
    if context.set_aside.includes(account_name(state.worker)):
        raise AnswersRefuted(ASIDE.format(account=state.worker))
    if context.suite.evaluator is not None:
        reason = OTHER_EVALUATOR.format(name=context.suite.evaluator.name)
        return _settle(claim, state, CrossCheckRecord(worker=state.worker, status="not-compared", reason=reason))
    questions = claim.questions(state.nonce)
    state = with_reports(claim, state)
    decision = decide(state.in_order)
    if decision.outcome == "open":
        return _ask(claim, state, decision, questions)
    return _end(claim, state, decision, questions)


# --- orders


def _ask(
    claim: CrossCheckClaim, state: CrossCheckState, decision: CrossCheckDecision, questions: tuple[CheckedQuestion, ...]
) -> CrossCheckProgress:
    """Wait for the worker that computes, or ask another one; give up when it takes too long."""
    context, now = claim.context, claim.context.now()
    if state.since > now + START_SECONDS:  # the clock was set back; clocks of two processes differ by less
        state = state.model_copy(update={"since": now})
        context.cross_checks.put(claim.key, state)
    waited = now - state.since
    reported = {vote.number for vote in state.votes}
    under_way = [check for check in state.tries if check.number not in reported and not _is_lost(claim, check, now=now)]
    if waited > claim.policy.check.hours * 3600:
        return _give_up(claim, state, decision, LATE, questions)
    if under_way:
        return CrossCheckProgress(done=False)
    number = max((check.number for check in state.tries), default=0) + 1
    may_ask = number <= MAX_TRIES
    if may_ask and (worker := _next_worker(claim, state, _workers(context, LOST, held_workers(context)))) is not None:
        if not any(check.worker == worker.name and abs(now - check.queued) < AGAIN_SECONDS for check in state.tries):
            _order(claim, state, worker, number, questions)
    elif now - _begin_of_wait(context, state) > NO_WORKER_SECONDS:
        recent = _workers(context, NO_WORKER_SECONDS, aside_workers(context))
        if not may_ask or _next_worker(claim, state, recent) is None:
            return _give_up(claim, state, decision, LATE if state.tries else NO_WORKER, questions)
    return CrossCheckProgress(done=False)


def _begin_of_wait(context: BoardContext, state: CrossCheckState) -> float:
    """Since when results wait for a worker: the start of the check, the last order, or a return of Redis or the bot."""
    return max(state.since, context.heard_since(), *(check.queued for check in state.tries))


def _workers(context: BoardContext, silence: float, held: set[str]) -> list[AvailableWorker]:
    """The workers with a heartbeat in the last `silence` seconds, without those whose name or account is in `held`."""
    cards = [card for card in context.workers.alive(now=context.now(), within=silence) if not names_of(card) & held]
    return [AvailableWorker(card.name, card.account, card.takes, not card.doing) for card in cards]


def _next_worker(
    claim: CrossCheckClaim, state: CrossCheckState, workers: Sequence[AvailableWorker]
) -> AvailableWorker | None:
    """A worker that got no order yet; else one whose tries were lost, or failed for a temporary reason."""
    excluded = {state.worker, *(vote.account for vote in state.votes if not vote.report.problem)}
    tier, tries = claim.context.index.get(str(claim.request.path)).tier, Counter(check.worker for check in state.tries)
    lasting = {vote.number for vote in state.votes if not vote.report.temporary}
    unable = {
        check.worker for check in state.tries if check.number in lasting or tries[check.worker] >= MAX_TRIES_OF_WORKER
    }
    chosen = (
        choose_worker(workers, claim.policy, excluded=excluded, tried=tried, tier=tier) for tried in (tries, unable)
    )
    return next(filter(None, chosen), None)


def _order(
    claim: CrossCheckClaim,
    state: CrossCheckState,
    worker: AvailableWorker,
    number: int,
    questions: tuple[CheckedQuestion, ...],
) -> None:
    """Put a job into the queue of `worker`."""
    context, check = claim.context, claim.check_id(number)
    order = CrossCheckOrder(
        attempt=claim.attempt,
        details=claim.details,
        restricted=state.restricted,
        nonce=state.nonce,
        questions=questions,
    )
    entry = context.index.get(str(claim.request.path)).changed(sha=claim.results.block.revision, attempt=check)
    # Model and precision come from the request: a worker could claim others.
    job = job_for(context, claim.request, entry).model_copy(update={"cross_check": order})
    seconds = int(min(MAX_SECONDS, context.board.attempt_seconds))
    new_try = CrossCheckTry(number=number, worker=worker.name, account=worker.account, queued=context.now())
    context.cross_checks.put(claim.key, state.with_try(new_try))
    jobs.delete(context.redis, check)
    jobs.enqueue(context.redis, context.keys.worker_queue(worker.name), job, timeout=seconds)
    log.info("cross-check ordered", attempt=claim.attempt, check=check, worker=worker.name, account=worker.account)


def _is_lost(claim: CrossCheckClaim, attempt: CrossCheckTry, *, now: float) -> bool:
    """Whether no report of a try can be expected any more; if so, its job is removed from the queue."""
    context, check = claim.context, claim.check_id(attempt.number)
    waited = now - attempt.queued
    cards = context.workers.alive(now=now, within=START_SECONDS)  # a busy machine may be silent for a moment
    card = next((card for card in cards if card.name == attempt.worker), None)
    queue = context.keys.worker_queue(attempt.worker)
    is_queued = check in jobs.queued_attempts(context.redis, [queue])
    will_take = is_queued and card is not None and not names_of(card) & held_workers(context)
    is_expected = card is not None and (card.doing == check or will_take) and waited < MAX_SECONDS
    if is_expected or abs(waited) < START_SECONDS or now - context.heard_since() < START_SECONDS:
        return False
    if is_queued:
        jobs.recall(context.redis, queue, check)
    return True


# --- the end


def _give_up(
    claim: CrossCheckClaim,
    state: CrossCheckState,
    decision: CrossCheckDecision,
    reason: str,
    questions: tuple[CheckedQuestion, ...],
) -> CrossCheckProgress:
    """End a check that no other worker will continue: as disputed if a worker disagreed, else as not compared."""
    problems = [vote.report.problem for vote in state.votes if vote.report.problem]
    is_disputed = bool(decision.questions)
    if is_disputed:
        reason = f"{', '.join(decision.by)} computed other answers, and {reason}: {decision.reason}"
    elif problems:
        reason = f"{reason}: {problems[-1]}"
    status: CrossCheckStatus = "disputed" if is_disputed else "not-compared"
    return _settle(claim, state, _record(state, status, decision, len(questions), reason))


def _end(
    claim: CrossCheckClaim, state: CrossCheckState, decision: CrossCheckDecision, questions: tuple[CheckedQuestion, ...]
) -> CrossCheckProgress:
    """Act on what the reports decide. Raises AnswersRefuted."""
    context, path = claim.context, str(claim.request.path)
    if decision.alone:
        reason = f"it found answers not to be the model's that {', '.join(decision.by)} computed as they were claimed"
        set_account_aside(context, decision.alone, attempt=claim.attempt, path=path, reason=reason)
    if decision.outcome == "differs":
        reason = REFUTED.format(
            count=len(decision.questions),
            compared=decision.compared,
            by=" and ".join(decision.by),
            reason=decision.reason,
        )
        set_account_aside(context, state.worker, attempt=claim.attempt, path=path, reason=reason)
        raise AnswersRefuted(reason)
    statuses: dict[str, CrossCheckStatus] = {"agrees": "agrees", "undecided": "disputed", "nothing": "not-compared"}
    record = _record(state, statuses[decision.outcome], decision, len(questions), decision.reason)
    return _settle(claim, state, record)


def _record(
    state: CrossCheckState, status: CrossCheckStatus, decision: CrossCheckDecision, drawn: int, reason: str = ""
) -> CrossCheckRecord:
    return CrossCheckRecord(
        worker=state.worker,
        status=status,
        by=decision.by,
        questions=drawn,
        compared=decision.compared,
        nonce=state.nonce,
        reason=reason[:1_000],
    )


def _settle(claim: CrossCheckClaim, state: CrossCheckState, record: CrossCheckRecord) -> CrossCheckProgress:
    """Store `record`, so that each sync until the publication of the results returns the same one."""
    record = record.model_copy(update={"at": iso(claim.context.now())})
    log.info("cross-check over", attempt=claim.attempt, **record.model_dump(exclude={"nonce"}))
    claim.context.cross_checks.put(claim.key, state.settled(record))
    return CrossCheckProgress(True, record)
