"""`/check`: check a model by every rule of admission, without submitting it."""

from __future__ import annotations

from bot.core.commands.answers import say
from bot.core.commands.model import Answer, Call, Param, Verb
from bot.core.commands.parameters import ANYONE, NAMED, WEIGHTS
from bot.model_facts import checking
from leaderboard.options import DEFAULT_PRECISION

AT = Param("precision", "word", "the precision of the evaluation, such as bfloat16", by_name=True)
REVISION = Param("revision", "word", "a branch, a tag or a commit", by_name=True)


def run(call: Call) -> Answer:
    """List the rules of a submission: those that pass, and those that fail with what to do."""
    result = checking.check(
        call.context,
        call.get("model"),
        revision=call.get("revision", "main"),
        precision=call.get("precision", DEFAULT_PRECISION),
        weight_type=call.get("weight_type", "Original"),
        submitter=call.person.name,
    )
    failed = [line for line in result.lines if line.outcome == "failed"]
    passed = [line for line in result.lines if line.outcome == "passed"]
    return Answer(say("check", found=result, failed=failed, passed=passed))


CHECK = Verb(
    name="check",
    summary="check a model by every rule, without submitting it",
    who=ANYONE,
    run=run,
    params=(NAMED, AT, WEIGHTS, REVISION),
    examples=("/check org/model", "/check org/model precision=float16 revision=main"),
)
