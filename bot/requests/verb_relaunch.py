"""`/relaunch`: evaluate a request that has ended once more.

Its submitter may do so once for each submitted commit, a maintainer as often as the board's daily budget allows. The
file holds the cause, so one comment relaunches once, even after Redis was lost.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.core.commands.answers import acting, say
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import MODEL, PRECISION, SUBMITTERS, WEIGHTS
from bot.requests.relaunching import RelaunchResult, relaunch
from redis_state.board.decisions import DecisionOutcome

CAUSE = "relaunch"
OUTCOMES: Mapping[str, DecisionOutcome] = {"done": "done", "sooner": "done", "under-way": "unchanged"}
"""All other results are refusals."""


def run(call: Call) -> Answer:
    """Queue the request again; admission judges it again, at the commit that its file names or that was tried last."""
    cause = f"{CAUSE}:{call.person.id}:{call.cause}"
    limit = None if call.is_maintainer else f"{CAUSE}:{call.person.id}:"

    def act() -> Answer:
        return _answer(call, relaunch(call.context, call.entry, cause=cause, once=limit))

    return acting(act)


def _answer(call: Call, result: RelaunchResult) -> Answer:
    context = call.context
    is_here = (call.repo, call.thread.num) == (context.requests, result.thread)
    thread = f"{context.address(context.requests)}/discussions/{result.thread}" if result.thread else ""
    return Answer(
        say("relaunch", done=result, thread=thread, is_here=is_here), outcome=OUTCOMES.get(result.how, "refused")
    )


RELAUNCH = Verb(
    name="relaunch",
    summary="evaluate a request again that failed, was cancelled or finished",
    who=SUBMITTERS,
    run=run,
    params=(MODEL, PRECISION, WEIGHTS),
    about="request",
    examples=("/relaunch", "/relaunch org/model", "/relaunch org/model precision=bfloat16"),
    decides=True,
)
