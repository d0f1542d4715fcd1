"""`/try`: a few questions of each benchmark, to see whether a model runs, what it writes and how long all would take.

The reply is edited while the trial waits and runs, and is final when it has ended. A comment with `/try` has no other
command, because the commands of a comment run again until its reply is final.
"""

from __future__ import annotations

from bot.core.commands.answers import acting, refusal, say
from bot.core.commands.grammar import commands_in
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import ANYONE, REQUIRED_MODEL, WEIGHTS
from bot.core.relative_times import in_words
from bot.requests.trials import UNDER_WAY, TrialView, ask_for_trial
from bot.requests.verb_check import AT, REVISION
from bot.requests.verb_submit import BASE, CHAT
from leaderboard.trials import MAX_PENDING, QUESTIONS
from redis_state.board.decisions import DecisionOutcome

OUTCOMES: dict[str, DecisionOutcome] = {"ended": "done", "exists": "unchanged", "no-worker": "failed"}
"""All other final states are refusals."""


def run(call: Call) -> Answer:
    """Ask for the trial once, and answer with its state."""
    if len(commands_in(call.comment.text, str.isalpha)) > 1:
        return refusal("not-alone", verb=f"/{call.verb.name}")
    return acting(lambda: _answer(call))


def _answer(call: Call) -> Answer:
    """The answer now; it is not final while the trial waits or runs."""
    view = ask_for_trial(call)
    text = say("try", view=view, address=_address(call, view), board=call.context.board, in_words=in_words, **LIMITS)
    if view.how in UNDER_WAY:
        return Answer(text, lambda: _answer(call))
    is_refused = view.how not in OUTCOMES
    return Answer(text, allowed=not is_refused, outcome=OUTCOMES.get(view.how, "refused"))


LIMITS = {"questions": QUESTIONS, "most_pending": MAX_PENDING}


def _address(call: Call, view: TrialView) -> str:
    return call.context.address(call.context.requests, view.path) if view.path else ""


TRY = Verb(
    name="try",
    summary="see whether a model runs, what it writes and how long an evaluation would take; it gets no scores",
    who=ANYONE,
    run=run,
    params=(REQUIRED_MODEL, AT, WEIGHTS, REVISION, BASE, CHAT),
    examples=("/try org/model precision=bfloat16",),
)
