"""`/approve` and `/reject`: a maintainer decides about a pull request, or about a proposal in a thread."""

from __future__ import annotations

from collections.abc import Mapping

from bot.changes import applying, proposals
from bot.core.commands.answers import acting, say
from bot.core.commands.model import Answer, Call, CommandPlace, Param, Verb
from bot.core.commands.parameters import MAINTAINERS, REASON
from bot.pulls.approving import approve
from hub.errors import Conflict
from redis_state.board.decisions import DecisionOutcome

SHA = Param(
    "sha",
    "word",
    "the commit or plan to approve, as the report shows it; at least 7 characters",
    required=True,
)
_REJECTED: Mapping[applying.Rejected, DecisionOutcome] = {"rejected": "done", "none": "unchanged", "off": "refused"}


def run_approve(call: Call) -> Answer:
    """Complete the proposal with this digest, or merge the pull request if its report says that it passed at this
    commit."""
    posted = proposals.find_by_digest(call.context, call.thread, call.get("sha"))
    if posted is not None:
        return acting(lambda: _approve_proposal(call, posted))
    if call.place is not CommandPlace.PULL:
        return Answer(say("propose", how="none", problems=[], digest=call.get("sha")), allowed=False, outcome="refused")
    return acting(lambda: approve(call.context, call.repo, call.thread.num, call.get("sha"), call.person.name))


def _approve_proposal(call: Call, posted: proposals.PostedProposal) -> Answer:
    proposal = applying.approve(call.context, call.repo, call.thread, posted, call.person.name)
    return proposals.completed_answer(proposal)


def run_reject(call: Call) -> Answer:
    """Reject the proposals of the thread that can be rejected, or else close the pull request. A discussion stays
    open."""
    has_proposal = any(
        applying.can_reject(call.context, posted) for posted in proposals.find(call.context, call.thread)
    )
    if has_proposal or call.place is not CommandPlace.PULL:
        return acting(lambda: _reject_proposals(call))
    if call.thread.status in ("merged", "closed") and not call.resumed:
        return Answer(say("reject", state=call.thread.status), allowed=False, outcome="unchanged")

    def act() -> Answer:
        marker = call.context.marker("reject", call.comment.id)
        try:
            is_closed = call.context.effects.set_status(call.repo, call.thread.num, "closed", marker, asked=True)
        except Conflict:  # merged since the thread was read, perhaps by an earlier command in it
            status = call.context.hub.thread(call.repo, call.thread.num).status
            return Answer(say("reject", state=status), outcome="unchanged")
        text = say("reject", state="done" if is_closed else "off", reason=call.get("reason"))
        return Answer(text, outcome="done" if is_closed else "refused")

    return acting(act)


def _reject_proposals(call: Call) -> Answer:
    how = applying.reject(call.context, call.repo, call.thread, call.get("reason"))
    if how == "none" and call.resumed:
        how = "rejected"  # by the earlier run
    return Answer(say("propose", how=how, problems=[], digest=""), outcome=_REJECTED[how])


APPROVE = Verb(
    name="approve",
    summary="merge a pull request at the checked commit, or carry out a proposed plan",
    who=MAINTAINERS,
    run=run_approve,
    params=(SHA,),
    examples=("/approve 1a2b3c4d",),
    irreversible=True,
    decides=True,
)
REJECT = Verb(
    name="reject",
    summary="close a pull request, or reject a proposed plan, for a public reason",
    who=MAINTAINERS,
    run=run_reject,
    params=(REASON,),
    examples=("/reject the model is not yours to submit",),
    irreversible=True,
    decides=True,
)
