"""Trials: `/try` asks for one, a worker that no request needs runs it, and the reply to the command shows its end.

The command's reply stays unfinished until the trial has ended, so the thread on the Hub is the record of a trial: after
Redis was lost, the sync of the thread asks for the same trial again. Nothing else is written to the Hub.

    ask       the command: admission by the rules of a submission, then the trial waits
    dispatch  puts it into RQ for a worker that no request needs (`bot.queue.trial_turns`)
    sync      grants the claim; ends the trial, or has it wait again after a failure that is not the model's

Race closed: Redis was lost while a worker runs a trial. The trial that is asked for again has the same attempt, whose
outcome it takes; where the branch of the model has moved since, it has another, and the earlier outcome is dropped.
Race accepted: the comment is edited or deleted while its trial runs. The trial runs to its end, and no reply shows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import structlog

from bot.core.commands.model import Call
from bot.core.context import BoardContext, thread_key
from bot.evaluations.attempt import is_set_aside
from bot.model_facts import checking
from bot.model_facts.board_facts import with_model_facts
from bot.queue.dispatching import QUEUE, job_for
from bot.queue.trial_turns import TAKEN
from bot.request_files.file_edits import pending_request
from bot.request_files.queue_places import with_queue_facts
from bot.requests.submitting import QUOTAS
from leaderboard.admission.rules import judge
from leaderboard.admission.submission import Submission
from leaderboard.attempts import TRIAL, Failure, Outcome, attempt_id
from leaderboard.failures import cause, may_retry
from leaderboard.options import DEFAULT_PRECISION
from leaderboard.privacy import access_on_hub
from leaderboard.reasons import Problem
from leaderboard.requests import Request, Status
from leaderboard.trials import MAX_PENDING, MAX_TRIES, MAX_WAIT_SECONDS, QUESTIONS
from redis_state.attempts import FIRST_BEATS, AttemptState
from redis_state.board.entry import IndexEntry
from redis_state.board.trials import Trial, TrialEnd
from redis_state.dirty import SyncPriority
from redis_state.errors import BadMessage

log = structlog.get_logger()

How = Literal[
    "waiting", "running", "ended", "no-worker", "refused", "restricted", "exists", "quota", "full", "off", "evaluator"
]  # fmt: skip
TRIAL_KIND = TRIAL.removesuffix(":")
"""Kind of the dirty keys of trials."""
UNDER_WAY = ("waiting", "running")
"""States of a trial that has not ended."""
TRIED = (Status.FAILED, Status.CANCELLED)
"""Statuses of requests whose model may be tried nevertheless."""


@dataclass(frozen=True)
class TrialView:
    """The content of the reply to `/try`: `how` selects the sentence, `reasons` say why the trial was refused.

    `path` and `status` are those of a request for the same model, if there is one.
    """

    how: How
    model: str
    reasons: tuple[Problem, ...] = ()
    path: str = ""
    status: str = ""
    sha: str = ""
    outcome: Outcome | None = None


def ask_for_trial(call: Call) -> TrialView:
    """The state of the trial that this command asked for; ask for it if that was not done yet. Raises HubError."""
    context, model = call.context, call.get("model")
    path = f"{TRIAL}{thread_key(call.repo, call.thread.num)}:{call.cause}"
    if (end := context.trials.end(path)) is not None:
        sha = end.trial.job.revision
        return TrialView(end.how, model, sha=sha, outcome=end.outcome)
    trial = context.trials.get(path)
    if trial is None:
        asked = _admit(call, path)
        if isinstance(asked, TrialView):
            context.trials.uncount(call.person.id, path)
            return asked
        trial = asked
        context.trials.put(trial)
        context.mark(QUEUE, SyncPriority.PERSON)
    state = context.attempts.read(trial.job.attempt)
    is_running = state is not None and state.state in TAKEN
    return TrialView("running" if is_running else "waiting", model, sha=trial.job.revision)


def _admit(call: Call, path: str) -> Trial | TrialView:
    """The trial, if the model passes every check of a submission and the quotas of trials have room."""
    context, model, board = call.context, call.get("model"), call.context.board
    if not board.trials_a_week or not context.takes.models:
        return TrialView("off", model)
    if context.suite.evaluator is not None:  # a trial's report is made of lm-eval's files
        return TrialView("evaluator", model)
    if context.trials.count(call.person.id, path, now=context.now()) >= board.trials_a_week:
        return TrialView("quota", model)
    if len(context.trials.pending()) >= MAX_PENDING:
        return TrialView("full", model)
    request = checking.as_request(
        model,
        revision=call.get("revision", "main"),
        precision=call.get("precision", DEFAULT_PRECISION),
        weight_type=call.get("weight_type", "Original"),
        base_model=call.get("base_model"),
        use_chat_template=call.get("chat_template") == "yes",
    )
    if isinstance(request, Problem):
        return TrialView("refused", model, (request,))
    pending = pending_request(context, str(request.path))
    if not isinstance(pending, str) and pending[0].status not in TRIED:
        known = pending[0]
        return TrialView("exists", model, path=str(known.path), status=known.file.status)
    submission = checking.gather_submission(context, request, call.person.name)
    public = checking.without_private_models(context, submission)
    # A trial has its own quota, and does not count as a submission.
    reasons = tuple(reason for reason in judge(public).reasons if reason.code not in QUOTAS)
    if access_on_hub(request, public.model) != "public":
        return TrialView("restricted", model)
    if reasons or public.model.sha is None:
        return TrialView("refused", model, reasons)
    return _trial(call, path, request, public)


def _trial(call: Call, path: str, request: Request, submission: Submission) -> Trial:
    context, facts = call.context, submission.model
    assert facts.sha is not None
    entry = with_model_facts(IndexEntry(path=str(request.path)), facts, request.path.weight_type)
    entry = with_queue_facts(context, entry, request, facts)
    attempt = attempt_id(context.board.name, path, facts.sha, 1)
    job = job_for(context, request, entry.changed(sha=facts.sha, attempt=attempt))
    return Trial(
        job=job.model_copy(update={"path": path, "questions": QUESTIONS, "private": False}),
        thread=thread_key(call.repo, call.thread.num),
        submitter=call.person.name,
        tier=entry.tier,
        asked=call.comment.created_at.timestamp(),
    )


# --- the sync


def sync_trial(context: BoardContext, name: str) -> None:
    """Answer a claim of the trial `name`, and act on how its attempt ended. No call to the Hub."""
    path = f"{TRIAL}{name}"
    trial, asking = context.trials.get(path), context.attempts.asking(path)
    if asking is not None and (trial is None or asking != trial.job.attempt):
        context.attempts.answer_claim(asking, granted=False)
    if trial is None:
        return
    state = context.attempts.read(trial.job.attempt)
    life = "" if state is None else state.state
    if life == "taken" and is_set_aside(context, trial.job.attempt):
        context.attempts.answer_claim(trial.job.attempt, granted=False)
        context.trials.put(trial.again(failed=False))
        context.mark(QUEUE, SyncPriority.PERSON)
    elif life == "taken" and context.attempts.answer_claim(trial.job.attempt, granted=True):
        context.mark(trial.thread, SyncPriority.BACKGROUND)
    elif life == "ended":
        _act_on_end(context, trial)
    elif life == "void" or (state is not None and life in TAKEN and _is_silent(context, state)):
        context.attempts.cancel(trial.job.attempt)  # if its worker is alive after all, it stops
        _fail(context, trial, cause("worker-lost").failure("it fell silent"))
    elif context.now() - trial.asked > MAX_WAIT_SECONDS and life not in TAKEN:
        _finish(context, TrialEnd(trial=trial, how="no-worker"))
    else:
        context.mark(QUEUE, SyncPriority.BACKGROUND)


def _is_silent(context: BoardContext, state: AttemptState) -> bool:
    """Whether no worker has the attempt any more. After a break of Redis or the bot, the next heartbeat is awaited."""
    now = context.now()
    return now >= context.heard_since() + FIRST_BEATS and state.attempt not in context.attempts.alive(now=now)


def _act_on_end(context: BoardContext, trial: Trial) -> None:
    try:
        ended = context.attempts.outcome(trial.job.attempt)
        outcome = ended[0] if ended is not None else None
        failure = outcome.failure if outcome is not None else None
        if outcome is None or (failure is None and outcome.trial is None):
            failure = cause("results-refused").failure("the worker reported nothing")
    except BadMessage as error:
        outcome, failure = None, cause("results-refused").failure(str(error)[:300])
    context.attempts.drop(trial.job.attempt)
    if failure is not None and trial.stopped and failure.cause == "cancelled":
        context.trials.put(trial.again(failed=False))
        context.mark(QUEUE, SyncPriority.BACKGROUND)
        context.mark(trial.thread, SyncPriority.BACKGROUND)
    elif failure is not None:
        _fail(context, trial, failure, outcome)
    else:
        _finish(context, TrialEnd(trial=trial, outcome=outcome))


def _fail(context: BoardContext, trial: Trial, failure: Failure, outcome: Outcome | None = None) -> None:
    """Queue the trial again after a failure that a retry may avoid, MAX_TRIES times at most; else end it."""
    following = trial.again(failed=True)
    if following.tries < MAX_TRIES and may_retry(failure.cause, following.tries) is not None:
        context.trials.put(following)
        context.mark(QUEUE, SyncPriority.BACKGROUND)
        context.mark(trial.thread, SyncPriority.BACKGROUND)
        return
    failed = (outcome or _empty_outcome(context, trial)).failed_with(failure)
    _finish(context, TrialEnd(trial=trial, outcome=failed))


def _empty_outcome(context: BoardContext, trial: Trial) -> Outcome:
    """The outcome of an attempt whose worker reported none."""
    job, now = trial.job, context.now()
    return Outcome(
        attempt=job.attempt,
        path=job.path,
        revision=job.revision,
        suite=job.suite,
        suite_digest=job.suite_digest,
        started=now,
        ended=now,
        phase="claim",
    )


def _finish(context: BoardContext, end: TrialEnd) -> None:
    """Store the end of the trial, and mark its thread, whose sync shows the end in the reply."""
    log.info("trial ended", path=end.trial.path, attempt=end.trial.job.attempt, how=end.how)
    context.trials.finish(end)
    context.mark(end.trial.thread, SyncPriority.PERSON)
