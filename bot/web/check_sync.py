"""The sync of a check that a client of the API asked for. The client waits, and asks again if the sync fails."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.model_facts.checking import AdmissionCheck, check
from bot.read_models import check_models as models
from redis_state.board.check_questions import CheckQuestion, CheckQuestions
from redis_state.clock import iso


def sync_check(context: BoardContext, digest: str) -> None:
    """Answer the question with this digest, unless it has expired or has its answer."""
    questions = CheckQuestions(context.redis, context.keys)
    question = questions.find(digest)
    if question is None or questions.read(digest) is not None:
        return
    result = check(
        context,
        question.model,
        revision=question.revision,
        precision=question.precision,
        weight_type=question.weight_type,
    )
    questions.answer(digest, check_response(context, question, result).model_dump_json())


def check_response(context: BoardContext, question: CheckQuestion, result: AdmissionCheck) -> models.CheckResponse:
    """The result of the check as the API's response."""
    return models.CheckResponse(
        state="done",
        accepted=result.accepted,
        model=question.model,
        revision=result.verdict.sha,
        rules=[
            models.RuleResultView(
                rule=line.rule,
                title=line.title,
                outcome=line.outcome,
                reasons=[models.ReasonView(**reason.model_dump()) for reason in line.reasons],
            )
            for line in result.lines
        ],
        checked=iso(context.now()),
    )
