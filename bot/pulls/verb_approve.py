"""`/approve` and `/reject`: a maintainer decides about a pull request, or about a proposal in a thread."""

from __future__ import annotations

from bot.changes import applying, proposals
from bot.core.commands.answers import acting, say
from bot.core.commands.model import Answer, Call, CommandPlace, Param, Verb
from bot.core.commands.parameters import MAINTAINERS, REASON
from bot.core.render import Safe
from bot.pulls.approving import approve
from hub.errors import Conflict

SHA = Param(
    "sha",
    "word",
    "the commit or plan to approve, as the report shows it; at least 7 characters",
    required=True,
)


def run_approve(call: Call) -> Answer:
    """Complete the proposal with this digest, or merge the pull request if its report says that it passed at this
    commit."""
    posted = proposals.find_by_digest(call.context, call.thread, call.get("sha"))
    if posted is not None:
        return acting(lambda: _approve_proposal(call, posted))
    if call.place is not CommandPlace.PULL:
        return Answer(say("propose", how="none", problems=[], digest=call.get("sha")), allowed=False)
    return acting(lambda: approve(call.context, call.repo, call.thread.num, call.get("sha"), call.person.name))


def _approve_proposal(call: Call, posted: proposals.PostedProposal) -> Safe:
    proposal = applying.approve(call.context, call.repo, call.thread, posted, call.person.name)
    how = "off" if proposal.state == "open" else proposal.state
    return say("propose", how=how, problems=[], digest=proposal.digest[:8])


def run_reject(call: Call) -> Answer:
    """Reject the open proposals of the thread, or else close the pull request. A discussion stays open."""
    has_proposal = any(posted.proposal.state == "open" for posted in proposals.find(call.context, call.thread))
    if has_proposal or call.place is not CommandPlace.PULL:
        return acting(lambda: _reject_proposals(call))
    if call.thread.status in ("merged", "closed") and not call.resumed:
        return Answer(say("reject", state=call.thread.status), allowed=False)

    def act() -> Safe:
        marker = call.context.marker("reject", call.comment.id)
        try:
            is_closed = call.context.effects.set_status(call.repo, call.thread.num, "closed", marker, asked=True)
        except Conflict:  # merged since the thread was read, perhaps by an earlier command in it
            return say("reject", state=call.context.hub.thread(call.repo, call.thread.num).status)
        return say("reject", state="done" if is_closed else "off", reason=call.get("reason"))

    return acting(act)


def _reject_proposals(call: Call) -> Safe:
    count = applying.reject(call.context, call.repo, call.thread, call.get("reason"))
    return say("propose", how="rejected" if count or call.resumed else "none", problems=[], digest="")


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
