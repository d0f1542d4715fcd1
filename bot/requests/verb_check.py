"""`/check`: check a model by every rule of admission without submitting it, as the API and `steward check` do."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Param, Verb
from bot.core.commands.parameters import ANYONE, NAMED, PRECISIONS, WEIGHTS
from bot.core.context import BoardContext
from bot.model_facts.checking import as_request, gather_submission, without_details, without_private_models
from bot.read_models.check_models import CheckResponse, RuleResultView
from leaderboard.admission.rules import Verdict, judge, unreadable
from leaderboard.options import DEFAULT_PRECISION
from leaderboard.privacy import access_on_hub
from leaderboard.reasons import Problem
from leaderboard.requests import Access
from redis_state.clock import iso

AT = Param("precision", "word", "the precision of the evaluation, such as bfloat16", by_name=True, known=PRECISIONS)
REVISION = Param("revision", "word", "a branch, a tag or a commit", by_name=True)


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
    revision: str = "main",
    precision: str = DEFAULT_PRECISION,
    weight_type: str = "Original",
    submitter: str = "",
    public: bool = True,
) -> CheckResponse:
    """Judge `model` as if `submitter` submitted it now ("": no particular account). A dozen calls. Raises HubError.

    `public`: everybody can read the answer, not only the board's operator.
    """
    request = as_request(model, revision=revision, precision=precision, weight_type=weight_type)
    if isinstance(request, Problem):
        return _response(context, model, unreadable([request]))
    submission = gather_submission(context, request, submitter)
    if public:
        submission = without_private_models(context, submission)
    verdict, access = judge(submission), access_on_hub(request, submission.model)
    return _response(context, model, without_details(verdict) if public and access == "gated" else verdict, access)


def _response(context: BoardContext, model: str, verdict: Verdict, access: Access = "public") -> CheckResponse:
    rules = [
        RuleResultView(
            rule=result.rule.name, title=result.rule.title, outcome=result.outcome, reasons=list(result.reasons)
        )
        for result in verdict.results
    ]
    return CheckResponse(
        state="done",
        accepted=verdict.accepted,
        model=model,
        revision=verdict.sha,
        rules=rules,
        checked=iso(context.now()),
        access=access,
    )


CHECK = Verb(
    name="check",
    summary="check a model by every rule, without submitting it",
    who=ANYONE,
    run=run,
    params=(NAMED, AT, WEIGHTS, REVISION),
    examples=("/check org/model", "/check org/model precision=float16 revision=main"),
)
