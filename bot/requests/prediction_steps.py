"""The steps of a request for predictions. They need no worker: the sync checks the file, scores it and publishes.

    waits      check everything: refuse it with every reason, or commit RUNNING, which pins the file's commit
    RUNNING    score the file at that commit; results, then the comment, then FINISHED

Race closed: the bot dies between two steps. The file names attempt and commit, so a second run writes the same.
"""

from __future__ import annotations

from dataclasses import replace

from bot.core.context import BoardContext, request_key
from bot.ledger.edits import PutFile
from bot.predictions.checking import CheckedSubmission, check_submission, read_predictions
from bot.predictions.quota import take_place
from bot.predictions.scoring import PredictionAttempt, results_of_predictions
from bot.request_files.attempt_numbers import CLAIM, numbers_before
from bot.request_files.file_edits import stage_transition
from bot.request_files.gather import RequestFacts
from bot.request_files.status_text import StatusView
from bot.request_files.status_thread import update_status
from bot.request_files.status_views import view_of
from bot.requests.admission import is_being_dated, refuse
from bot.results.scores import store_scores, with_score_table
from leaderboard import transitions
from leaderboard.attempts import number_in
from leaderboard.lifecycle import CurrentAttempt, current_attempt_id, find_current_attempt, submission_digest
from leaderboard.prediction_reasons import REASONS
from leaderboard.requests import Request
from leaderboard.results import read_results
from leaderboard.times import read_time
from redis_state.clock import iso


def admit_predictions(context: BoardContext, gathered: RequestFacts) -> None:
    """Refuse the predictions with every reason, or stage RUNNING, which pins the commit of their file."""
    if is_being_dated(context, gathered):
        return
    request = gathered.request
    origin = context.index.origin(gathered.entry.path)
    submitter = origin.submitter(request.file.sender)
    commit = gathered.current.revision or gathered.file.commit
    used = numbers_before(context, request, gathered.entry, commit)
    current = find_current_attempt(request, used)
    entry = gathered.entry.changed(
        standing=gathered.entry.standing.with_access("public"),
        submitter=submitter,
        submitter_id=origin.submitter_id,
        asked=submission_digest(request),
        model=request.path.model,
    )
    gathered = replace(gathered, entry=entry)
    submission = None if _was_scored(request, current) else f"{entry.path} {current.number}"
    checked = check_submission(context, request, submitter, commit, submission=submission)
    problems = checked.problems
    if not problems and submission is not None and not take_place(context, request.path.org, submission):
        most = context.suite.predictions.per_week if context.suite.predictions is not None else 0
        problems = (REASONS["predictions-quota"].problem(who=submitter, most=most),)
    if problems:
        refuse(context, gathered, problems)
        return
    attempt = current_attempt_id(context.board.name, request, current, commit)
    assert attempt is not None
    context.index.put(entry.changed(sha=commit, number=current.number, used=used, attempt=attempt))
    _stage_claim(context, replace(gathered, current=current), attempt, commit, checked)


def _was_scored(request: Request, current: CurrentAttempt) -> bool:
    """Whether the attempt repeats the evaluation of a file that has results: it keeps its season, and takes no place in
    the quota."""
    previous = request.file.steward.kept
    return previous is not None and previous.results is not None and previous.revision == current.revision


def _stage_claim(
    context: BoardContext, gathered: RequestFacts, attempt: str, commit: str, checked: CheckedSubmission
) -> None:
    request = gathered.request
    step = transitions.claim_transition(
        request,
        attempt=attempt,
        now=gathered.current,
        revision=commit,
        thread=gathered.entry.thread,
        started=iso(context.now()),
    )
    step = replace(step, facts={**step.facts, "season": checked.season or None})
    line = f"Score {request.path.model}"
    if not stage_transition(context, request, gathered.file, step, name=f"{CLAIM} {attempt}", line=line):
        context.index.put(gathered.entry.changed(state="settled"))  # judged; the board holds edits back


def publish_predictions(context: BoardContext, gathered: RequestFacts) -> None:
    """Publish the scores of the public part, then stage FINISHED. Called again when the results have landed."""
    request, attempt = gathered.request, _attempt_of(context, gathered)
    read = read_predictions(context, request, attempt.commit)
    if read.by_id is None or read.problems:  # the suite has changed since the file was accepted
        refuse(context, gathered, read.problems)
        return
    path, data = results_of_predictions(context, request, replace(attempt, file=read.path), read.by_id)
    edit = f"results {attempt.id}"
    if not context.ledger.edits.landed(edit):
        subject, line = str(request.path), f"Add results of {request.path.model}"
        wake = (request_key(subject),)
        if context.effects.stage(
            context.results, PutFile(id=edit, path=path, data=data, line=line, subject=subject, wake=wake)
        ):
            return
    results = read_results(data, context.suite)
    scores = store_scores(context, request, path, results)
    entry = gathered.entry.changed(state="settled", attempt=attempt.id, job=None)
    view = with_score_table(context, _finished_view(context, gathered, attempt, read.path), scores, request, results)
    view = replace(view, results_url=context.address(context.results, path), base="", best="")
    entry = update_status(context, entry, view, named=request.file.steward.thread)
    context.index.put(entry)
    step = transitions.finish_transition(
        number=number_in(attempt.id), revision=attempt.commit, results=path, log=None, thread=entry.thread
    )
    line = f"Finish {request.path.model}"
    stage_transition(context, request, gathered.file, step, name=f"finish {attempt.id}", line=line, after=(edit,))


def _attempt_of(context: BoardContext, gathered: RequestFacts) -> PredictionAttempt:
    request = gathered.request
    assert gathered.attempt is not None
    started = request.fields.get("job_start_time")
    return PredictionAttempt(
        id=gathered.attempt,
        file="",
        commit=request.file.steward.revision or gathered.file.commit,
        started=(read_time(started) if isinstance(started, str) else None) or context.now(),
        submitter=request.file.steward.submitter or gathered.entry.submitter,
        season=request.file.steward.season or "",
    )


def _finished_view(context: BoardContext, gathered: RequestFacts, attempt: PredictionAttempt, path: str) -> StatusView:
    view = view_of(context, gathered.entry, gathered.request, "finished")
    url = context.address(context.requests, path, revision=attempt.commit)
    return replace(view, model_url=url, season=attempt.season)
