"""Answer a check that somebody asked for on the web. Whoever asked waits there, and asks again where this fails."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.model_facts.checking import AdmissionCheck, check
from bot.read_models import check_models as models
from redis_state.board.check_questions import CheckQuestion, CheckQuestions
from redis_state.clock import iso


def sync_check(context: BoardContext, digest: str) -> None:
    """Answer the question of this name, if somebody still waits for that."""
    questions = CheckQuestions(context.redis, context.keys)
    question = questions.find(digest)
    if question is None or questions.read(digest) is not None:
        return
    found = check(
        context,
        question.model,
        revision=question.revision,
        precision=question.precision,
        weight_type=question.weight_type,
    )
    questions.answer(digest, check_response(context, question, found).model_dump_json())


def check_response(context: BoardContext, question: CheckQuestion, found: AdmissionCheck) -> models.CheckResponse:
    """The answer, as the API gives it."""
    return models.CheckResponse(
        state="done",
        accepted=found.accepted,
        model=question.model,
        revision=found.verdict.sha,
        rules=[
            models.RuleResultView(
                rule=line.rule,
                title=line.title,
                outcome=line.outcome,
                reasons=[models.ReasonView(**reason.model_dump()) for reason in line.reasons],
            )
            for line in found.lines
        ],
        checked=iso(context.now()),
    )
