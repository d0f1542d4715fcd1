"""Answer a check that somebody asked for on the web. Whoever asked waits there, and asks again where this fails."""

from __future__ import annotations

from bot.core.context import Desk
from bot.model_facts.checking import Checked, check
from bot.read_models import check_models as models
from redis_state.board.check_questions import Question, Questions
from redis_state.clock import iso


def sync_check(desk: Desk, digest: str) -> None:
    """Answer the question of this name, if somebody still waits for that."""
    questions = Questions(desk.redis, desk.keys)
    question = questions.find(digest)
    if question is None or questions.read(digest) is not None:
        return
    found = check(
        desk,
        question.model,
        revision=question.revision,
        precision=question.precision,
        weight_type=question.weight_type,
    )
    questions.answer(digest, shown(desk, question, found).model_dump_json())


def shown(desk: Desk, question: Question, found: Checked) -> models.Checked:
    """The answer, as the API gives it."""
    return models.Checked(
        state="done",
        accepted=found.accepted,
        model=question.model,
        revision=found.verdict.sha,
        rules=[
            models.Rule(
                rule=line.rule,
                title=line.title,
                outcome=line.outcome,
                reasons=[models.Reason(**reason.model_dump()) for reason in line.reasons],
            )
            for line in found.lines
        ],
        checked=iso(desk.now()),
    )
