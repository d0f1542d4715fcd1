"""`/check`: check a model by every rule of admission without submitting it, as the API and `steward check` do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, Unpack

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Param, Verb
from bot.core.commands.parameters import ANYONE, PRECISIONS, REQUIRED_MODEL, WEIGHTS
from bot.core.context import BoardContext
from bot.model_facts.board_facts import gather_board_facts
from bot.model_facts.checking import as_request, facts_of, judge_on, without_details, without_private_models
from bot.read_models.check_models import CheckResponse, RuleResultView
from bot.read_models.queue_snapshot import take_snapshot
from bot.read_models.serializers import blocker_view, place
from bot.request_files.queue_places import with_queue_facts
from leaderboard.admission.facts import ModelFacts
from leaderboard.admission.rules import Verdict, unreadable
from leaderboard.admission.submission import Submission
from leaderboard.guesses import Guess, guess_options
from leaderboard.options import DEFAULT_PRECISION
from leaderboard.predictions import PREDICTIONS
from leaderboard.privacy import access_on_hub
from leaderboard.queue_snapshot import QueueOutlook, QueueSnapshot
from leaderboard.reasons import Problem
from leaderboard.requests import Request
from leaderboard.steward_facts import Access
from redis_state.board.entry import IndexEntry
from redis_state.board.waiting import waiting_request_of
from redis_state.clock import iso

ANY_SUBMITTER = "(anyone)"
"""The submitter in checks without an account, for the place in the queue: no account has this name."""
AT = Param("precision", "word", "the precision of the evaluation, such as bfloat16", by_name=True, known=PRECISIONS)
REVISION = Param("revision", "word", "a branch, a tag or a commit", by_name=True)


class CheckOptions(TypedDict, total=False):
    """How a model is to be evaluated: each option as in a request, or empty; `model_type` is the category."""

    revision: str
    precision: str
    weight_type: str
    base_model: str
    model_type: str
    chat_template: str


def run(call: Call) -> Answer:
    """List the rules of a submission: those that pass, and those that fail with what to do."""
    result = check_model(
        call.context,
        call.get("model"),
        revision=call.get("revision", "main"),
        precision=call.get("precision", DEFAULT_PRECISION),
        weight_type=call.get("weight_type", "Original"),
        submitter=call.person.name,
    )
    failed = [rule for rule in result.rules if rule.outcome == "failed"]
    passed = [rule for rule in result.rules if rule.outcome == "passed"]
    return Answer(say("check", result=result, failed=failed, passed=passed))


def check_model(
    context: BoardContext,
    model: str,
    *,
    submitter: str = "",
    public: bool = True,
    guess: bool = False,
    **options: Unpack[CheckOptions],
) -> CheckResponse:
    """Judge `model` as if `submitter` submitted it now ("": no particular account). A dozen calls. Raises HubError.

    `public`: the answer is for everyone, not only for the board's operator. `guess`: empty options are guessed from the
    model, and the answer has the guesses.
    """
    request = _request(model, options)
    if isinstance(request, Problem):
        return _response(context, model, unreadable([request]))
    facts = facts_of(context, request)
    guesses = _guesses(context, request, facts, options) if guess else ()
    if guesses:
        request, facts = _as_guessed(context, request, facts, options, guesses)
    board_facts = gather_board_facts(context, request, facts, submitter, is_check=True)
    submission = Submission(request, facts, context.board, board_facts)
    if public:
        submission = without_private_models(context, submission)
    verdict, access = judge_on(context, submission), access_on_hub(request, submission.model)
    shown = without_details(verdict) if public and access == "gated" else verdict
    return _response(
        context, model, shown, access, guesses, _outlook(context, submission) if verdict.accepted else None
    )


def _request(model: str, options: CheckOptions) -> Request | Problem:
    return as_request(
        model,
        revision=options.get("revision", "main"),
        precision=options.get("precision", "") or DEFAULT_PRECISION,
        weight_type=options.get("weight_type", "") or "Original",
        base_model=options.get("base_model", ""),
        model_type=options.get("model_type", ""),
        use_chat_template=options.get("chat_template", "") == "yes",
    )


def _guesses(context: BoardContext, request: Request, facts: ModelFacts, options: CheckOptions) -> tuple[Guess, ...]:
    """The guesses of the empty options; none for a model whose files are not public."""
    if access_on_hub(request, facts) != "public" or facts.availability != "found":
        return ()
    precisions = [name for name in context.board.precisions if name != PREDICTIONS]
    guesses = guess_options(facts, context.board.admission, precisions)
    return tuple(guess for guess in guesses if not options.get(guess.field))


def _as_guessed(
    context: BoardContext, request: Request, facts: ModelFacts, options: CheckOptions, guesses: Sequence[Guess]
) -> tuple[Request, ModelFacts]:
    """The request with the guessed options, and the facts about its model."""
    guessed: CheckOptions = {**options}
    for guess in guesses:
        guessed[guess.field] = guess.value
    changed = _request(request.path.model, guessed)
    assert isinstance(changed, Request)  # the name is valid
    needs_base = changed.path.weight_type != request.path.weight_type
    return changed, facts_of(context, changed) if needs_base else facts


def _outlook(context: BoardContext, submission: Submission) -> QueueOutlook | None:
    """The outlook that the accepted submission would have in the queue now; None if its request waits already."""
    request, snapshot = submission.request, take_snapshot(context)
    path, submitter = str(request.path), submission.board_facts.submitter or ANY_SUBMITTER
    if path in snapshot.by_path:
        return None
    entry = with_queue_facts(context, IndexEntry(path=path), request, submission.model)
    turn = waiting_request_of(entry.changed(submitter=submitter, submitted=context.now()))._replace(
        suite=context.suite.name
    )
    waiting = (*snapshot.waiting, turn)
    return QueueSnapshot(waiting, snapshot.running, snapshot.conditions, snapshot.now).outlook(path)


def _response(
    context: BoardContext,
    model: str,
    verdict: Verdict,
    access: Access = "public",
    guesses: Sequence[Guess] = (),
    outlook: QueueOutlook | None = None,
) -> CheckResponse:
    rules = [
        RuleResultView(
            rule=result.rule.name, title=result.rule.title, outcome=result.outcome, reasons=list(result.reasons)
        )
        for result in verdict.results
    ]
    held = outlook.held if outlook is not None else None
    return CheckResponse(
        state="done",
        accepted=verdict.accepted,
        model=model,
        revision=verdict.sha,
        rules=rules,
        checked=iso(context.now()),
        access=access,
        guesses=list(guesses),
        place=place(outlook) if outlook is not None and held is None else None,
        held=blocker_view(None, held, context.pauses.all()) if held is not None else None,
    )


CHECK = Verb(
    name="check",
    summary="check a model by every rule, without submitting it",
    who=ANYONE,
    run=run,
    params=(REQUIRED_MODEL, AT, WEIGHTS, REVISION),
    examples=("/check org/model", "/check org/model precision=float16 revision=main"),
)
