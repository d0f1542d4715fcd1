"""Has a worker of another account compute some claimed answers again, before results are published.

    receipt    the details are known by commit, and the Hub says which account committed them: one that the operator
               does not own is checked. Only now the bot draws a nonce, from which the questions follow
    order      a job in the queue of one worker of another account; a third one gets it if the second one disagrees
    report     a file in the details repo: its commit says whose it is. `leaderboard.cross_checks` decides
    end        results say in `checked.again` what came of it; or they are refused, the account that stands alone is
               set aside, and its results since its last good check are marked

Results wait for the check, at most for the hours of the board's policy, and some minutes where no other worker runs:
then they are published as not compared. A score that is found wrong later would have been read, copied and ranked by.

Race closed: Redis was lost. The reports on the Hub name the nonce, so the same questions follow from them; without a
report the check begins anew, with other questions.
Race accepted: a worker reports after its job counted as lost and another worker was asked. Both reports count.
Race accepted: the request is removed meanwhile. The worker reports into the details repo, and no sync reads it.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import structlog
from pydantic import ValidationError

from bot.core.context import BoardContext
from bot.evaluations.doubts import set_account_aside
from bot.evaluations.samples import asked_questions
from bot.queue.dispatching import job_for
from hub.errors import NotFound, TooLarge
from hub.records import Repo
from leaderboard.attempts import Details
from leaderboard.cross_checks import (
    MAX_REPORT_BYTES,
    MAX_SECONDS,
    MAX_TRIES,
    AvailableWorker,
    CheckedQuestion,
    CrossCheckDecision,
    CrossCheckOrder,
    CrossCheckRecord,
    CrossCheckReport,
    CrossCheckStatus,
    WorkerPolicy,
    choose_worker,
    cross_check_id,
    decide,
    draw_questions,
    report_path,
)
from leaderboard.details import table_path
from leaderboard.requests import Request
from leaderboard.results import ResultsFile
from leaderboard.sample_checks import question_counts
from redis_state import jobs
from redis_state.board.cross_checks import CrossCheckState, CrossCheckTry, StoredVote
from redis_state.set_aside import account_name

log = structlog.get_logger()

NO_WORKER_SECONDS = 600.0
"""Time for which results wait for a worker of another account to appear."""
START_SECONDS = 120.0
"""Time after which a worker that takes no job from its queue, and shows no life, counts as lost."""
NO_WORKER = "no worker of another account runs"
LATE = "no worker of another account computed them in time"
OTHER_EVALUATOR = "answers of {name} are not computed again: only those of lm-eval are"
NO_COUNTS = "the results do not say how many questions were asked, which other people's workers have to say"
ASIDE = "the account {account} is set aside: answers that its workers published were not the model's"
REFUTED = "{count} of {compared} answers that were drawn are not the model's, by {by}: {reason}"


class AnswersRefuted(Exception):
    """The answers are not the model's, as other workers compute them; the message says more."""


@dataclass(frozen=True)
class CrossCheckProgress:
    """Whether a cross-check is over, and what the results say of it; None for workers that the operator owns."""

    done: bool
    record: CrossCheckRecord | None = None


@dataclass(frozen=True)
class _Claim:
    """The results of one attempt, as they are in a details repo."""

    context: BoardContext
    policy: WorkerPolicy
    request: Request
    repo: Repo
    details: Details
    results: ResultsFile

    @property
    def attempt(self) -> str:
        return self.results.block.attempt

    @cached_property
    def contents(self) -> str:
        """Names the contents of results and tables: what is found at a later commit may be the same. One call."""
        return self.contents_at(self.details.commit)

    def contents_at(self, commit: str) -> str:
        """The same at another commit; "" if there is no such commit. One call."""
        time = self.details.results_path.removeprefix("results_").removesuffix(".json")
        paths = [self.details.results_path, *(table_path(task, time) for task in self.context.suite.tasks)]
        try:
            entries = self.context.hub.paths_info(self.repo, paths, commit)
        except NotFound:
            return ""
        ids = json.dumps(sorted((path, entry.oid) for path, entry in entries.items()))
        return hashlib.sha256(ids.encode()).hexdigest()

    @property
    def key(self) -> str:
        """Names exactly these contents of this attempt."""
        return f"{self.attempt}:{self.contents[:32]}"

    def check_id(self, number: int) -> str:
        return cross_check_id(self.context.board.name, self.attempt, self.results.block.revision, number)

    def questions(self, nonce: str) -> tuple[CheckedQuestion, ...]:
        """The questions that follow from `nonce`. Raises AnswersRefuted."""
        sizes = question_counts(self.results.data, self.context.suite, asked_questions(self.results))
        if len(sizes) < len(self.context.suite.tasks):
            raise AnswersRefuted(NO_COUNTS)
        return draw_questions(nonce, self.attempt, sizes, self.policy.check.questions)


def cross_check(
    context: BoardContext, request: Request, repo: Repo, details: Details, results: ResultsFile
) -> CrossCheckProgress:
    """How far the cross-check of these results is; takes the next step. Raises AnswersRefuted and HubError."""
    policy = context.board.workers
    if policy is None:
        return CrossCheckProgress(done=True)
    claim = _Claim(context, policy, request, repo, details, results)
    state = context.cross_checks.get(claim.key) or _begin(claim)
    if state.record is not None:
        return CrossCheckProgress(True, state.record)
    if policy.owns(state.worker):
        return CrossCheckProgress(done=True)
    if context.set_aside.includes(account_name(state.worker)):
        raise AnswersRefuted(ASIDE.format(account=state.worker))
    if context.suite.evaluator is not None:
        reason = OTHER_EVALUATOR.format(name=context.suite.evaluator.name)
        return _settle(claim, state, CrossCheckRecord(worker=state.worker, status="not-compared", reason=reason))
    questions = claim.questions(state.nonce)
    waiting = [one.number for one in state.tries if one.number not in {vote.number for vote in state.votes}]
    state = _with_reports(claim, state, waiting, questions)
    decision = decide(state.in_order)
    if decision.outcome == "open":
        return _ask(claim, state, decision, questions)
    return _end(claim, state, decision, questions)


def settled_record(
    context: BoardContext,
    request: Request,
    repo: Repo,
    details: Details,
    results: ResultsFile,
    *,
    unknown: str,
) -> CrossCheckRecord | None:
    """What was found about results that were published before; `unknown` is the reason where that is not known.

    Raises HubError.
    """
    policy = context.board.workers
    if policy is None:
        return None
    claim = _Claim(context, policy, request, repo, details, results)
    state = context.cross_checks.get(claim.key) or _begin(claim)
    if state.record is not None or policy.owns(state.worker):
        return state.record
    decision = decide(state.in_order)
    if decision.outcome == "agrees":
        return _record(state, "agrees", decision, len(claim.questions(state.nonce)))
    return CrossCheckRecord(worker=state.worker, status="not-compared", reason=unknown)


def _begin(claim: _Claim) -> CrossCheckState:
    """Find out whose answers they are, and draw a nonce, or find the one again that was drawn. Some calls."""
    entry = claim.context.hub.last_commit(claim.repo, claim.details.results_path, claim.details.commit)
    worker = entry.authors[0] if entry is not None and entry.authors else ""
    now = claim.context.now()
    state = CrossCheckState(worker=worker, nonce=secrets.token_hex(16), since=now)
    if not claim.policy.owns(worker) and claim.context.suite.evaluator is None:
        earlier = list(_reports(claim, worker, range(1, MAX_TRIES + 1)))
        if earlier:
            nonce = earlier[0].report.nonce
            votes = _valid(earlier, nonce, claim.questions(nonce))
            tries = tuple(CrossCheckTry(number=vote.number, worker="", queued=now) for vote in votes)
            state = CrossCheckState(worker=worker, nonce=nonce, since=now, tries=tries, votes=votes)
    claim.context.cross_checks.put(claim.key, state)
    return state


# --- reports


def _with_reports(
    claim: _Claim, state: CrossCheckState, numbers: Iterable[int], questions: tuple[CheckedQuestion, ...]
) -> CrossCheckState:
    """The state with the reports of these tries that are there; each is read once."""
    votes = _valid(_reports(claim, state.worker, numbers), state.nonce, questions, known=state.votes)
    if votes:
        state = state.with_votes(votes)
        claim.context.cross_checks.put(claim.key, state)
    return state


def _reports(claim: _Claim, worker: str, numbers: Iterable[int]) -> Iterator[StoredVote]:
    """The reports of these tries that other accounts than `worker` committed: a call, and four for each report."""
    hub, repo, paths = claim.context.hub, claim.repo, {report_path(claim.check_id(n)): n for n in numbers}
    for path in sorted(hub.paths_info(repo, list(paths))) if paths else ():
        try:
            file = hub.read_file(repo, path, max_bytes=MAX_REPORT_BYTES)
            report = CrossCheckReport.model_validate_json(file.data)
            entry = hub.last_commit(repo, path, file.commit)
        except (NotFound, TooLarge, ValidationError) as error:
            log.warning("report of a cross-check cannot be read", path=path, error=str(error)[:200])
            continue
        account = entry.authors[0] if entry is not None and entry.authors else ""
        is_about_it = (report.check, report.attempt) == (claim.check_id(paths[path]), claim.attempt)
        is_other = bool(account) and account.casefold() != worker.casefold()
        if is_other and is_about_it and claim.contents_at(report.commit) == claim.contents:
            yield StoredVote(number=paths[path], account=account, report=report)
        else:
            log.warning("report of a cross-check does not count", path=path, account=account)


def _valid(
    votes: Iterable[StoredVote],
    nonce: str,
    questions: tuple[CheckedQuestion, ...],
    known: tuple[StoredVote, ...] = (),
) -> tuple[StoredVote, ...]:
    """The reports about these questions; of those that compared something, one of each account."""
    accounts = {vote.account.casefold() for vote in known if not vote.report.problem}
    valid = list[StoredVote]()
    for vote in sorted(votes, key=lambda each: each.number):
        if vote.report.nonce != nonce or not vote.report.answers_to(questions):
            continue
        if not vote.report.problem:
            if vote.account.casefold() in accounts:
                continue
            accounts.add(vote.account.casefold())
        valid.append(vote)
    return tuple(valid)


# --- orders


def _ask(
    claim: _Claim, state: CrossCheckState, decision: CrossCheckDecision, questions: tuple[CheckedQuestion, ...]
) -> CrossCheckProgress:
    """Wait for the worker that computes, or ask another one; give up when it takes too long."""
    context, now = claim.context, claim.context.now()
    waited = now - state.since
    cards = context.workers.alive(now=now)
    reported = {vote.number for vote in state.votes}
    under_way = [one for one in state.tries if one.number not in reported and not _is_lost(claim, one, now=now)]
    if waited > claim.policy.check.hours * 3600:
        return _give_up(claim, state, decision, LATE, questions)
    if under_way:
        return CrossCheckProgress(done=False)
    workers = (AvailableWorker(card.name, card.account, card.takes, not card.doing) for card in cards)
    aside = {one.account for one in context.set_aside.all() if one.account}
    excluded = {state.worker, *aside, *(vote.account for vote in state.votes if not vote.report.problem)}
    tried = {one.worker for one in state.tries}
    tier = context.index.get(str(claim.request.path)).tier
    worker = choose_worker(workers, claim.policy, excluded=excluded, tried=tried, tier=tier)
    number = max((one.number for one in state.tries), default=0) + 1
    if worker is not None and number <= MAX_TRIES:
        _order(claim, state, worker, number, questions)
    elif waited > NO_WORKER_SECONDS:
        return _give_up(claim, state, decision, LATE if state.tries else NO_WORKER, questions)
    return CrossCheckProgress(done=False)


def _order(
    claim: _Claim, state: CrossCheckState, worker: AvailableWorker, number: int, questions: tuple[CheckedQuestion, ...]
) -> None:
    """Put a job into the queue of `worker`."""
    context, check = claim.context, claim.check_id(number)
    order = CrossCheckOrder(attempt=claim.attempt, details=claim.details, nonce=state.nonce, questions=questions)
    entry = context.index.get(str(claim.request.path)).changed(sha=claim.results.block.revision, attempt=check)
    # What was evaluated is the request's word, never the worker's.
    job = job_for(context, claim.request, entry).model_copy(update={"cross_check": order})
    seconds = int(min(MAX_SECONDS, context.board.attempt_seconds))
    one = CrossCheckTry(number=number, worker=worker.name, queued=context.now())
    context.cross_checks.put(claim.key, state.with_try(one))
    jobs.delete(context.redis, check)
    jobs.enqueue(context.redis, context.keys.worker_queue(worker.name), job, timeout=seconds)
    log.info("cross-check ordered", attempt=claim.attempt, check=check, worker=worker.name, account=worker.account)


def _is_lost(claim: _Claim, one: CrossCheckTry, *, now: float) -> bool:
    """Whether no report of a try is to be expected any more; its job is taken back."""
    context, check = claim.context, claim.check_id(one.number)
    waited = now - one.queued
    card = next((card for card in context.workers.alive(now=now) if card.name == one.worker), None)
    queue = context.keys.worker_queue(one.worker)
    is_queued = check in jobs.queued_attempts(context.redis, [queue])
    is_expected = card is not None and (card.doing == check or is_queued) and waited < MAX_SECONDS
    if is_expected or waited < START_SECONDS:
        return False
    if is_queued:
        jobs.recall(context.redis, queue, check)
    return True


# --- the end


def _give_up(
    claim: _Claim,
    state: CrossCheckState,
    decision: CrossCheckDecision,
    reason: str,
    questions: tuple[CheckedQuestion, ...],
) -> CrossCheckProgress:
    """End a check that no further worker continues: one that a worker disagreed with remains disputed."""
    problems = [vote.report.problem for vote in state.votes if vote.report.problem]
    is_disputed = bool(decision.questions)
    if is_disputed:
        reason = f"{', '.join(decision.by)} computed other answers, and {reason}: {decision.reason}"
    elif problems:
        reason = f"{reason}: {problems[-1]}"
    status: CrossCheckStatus = "disputed" if is_disputed else "not-compared"
    return _settle(claim, state, _record(state, status, decision, len(questions), reason))


def _end(
    claim: _Claim, state: CrossCheckState, decision: CrossCheckDecision, questions: tuple[CheckedQuestion, ...]
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


def _settle(claim: _Claim, state: CrossCheckState, record: CrossCheckRecord) -> CrossCheckProgress:
    """Store what the results say, so that each sync until their publication says the same."""
    log.info("cross-check over", attempt=claim.attempt, **record.model_dump(exclude={"nonce"}))
    claim.context.cross_checks.put(claim.key, state.settled(record))
    return CrossCheckProgress(True, record)
