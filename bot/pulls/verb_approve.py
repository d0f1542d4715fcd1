"""`/approve` and `/reject`: a maintainer decides about a pull request, or about what was proposed in a thread."""

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
    "the commit or the plan that is approved, as the report names it; at least 7 characters",
    required=True,
)


def run_approve(call: Call) -> Answer:
    """Merge it at that very commit, if a report of ours says that it passed there; or do what that plan says."""
    found = proposals.find_by_digest(call.context, call.thread, call.get("sha"))
    if found is not None:
        return acting(lambda: _proposal_answer(call, found))
    if call.place is not CommandPlace.PULL:
        return Answer(say("propose", how="none", problems=[], digest=call.get("sha")), allowed=False)
    return acting(lambda: approve(call.context, call.repo, call.thread.num, call.get("sha"), call.person.name))


def _proposal_answer(call: Call, found: proposals.PostedProposal) -> Safe:
    ended = applying.approve(call.context, call.repo, call.thread, found, call.person.name)
    how = "off" if ended.state == "open" else ended.state
    return say("propose", how=how, problems=[], digest=ended.digest[:8])


def run_reject(call: Call) -> Answer:
    """Close it, with the reason; what is proposed in the thread is turned down, and a discussion stays open."""
    is_open = any(one.proposal.state == "open" for one in proposals.find(call.context, call.thread))
    if is_open or call.place is not CommandPlace.PULL:
        return acting(lambda: _turned_down(call))
    if call.thread.status in ("merged", "closed") and not call.resumed:
        return Answer(say("reject", state=call.thread.status), allowed=False)

    def act() -> Safe:
        marker = call.context.marker("reject", call.comment.id)
        try:
            done = call.context.effects.set_status(call.repo, call.thread.num, "closed", marker, asked=True)
        except Conflict:  # it was merged since it was read, perhaps by a command before this one
            return say("reject", state=call.context.hub.thread(call.repo, call.thread.num).status)
        return say("reject", state="done" if done else "off", reason=call.get("reason"))

    return acting(act)


def _turned_down(call: Call) -> Safe:
    count = applying.reject(call.context, call.repo, call.thread, call.get("reason"))
    return say("propose", how="rejected" if count or call.resumed else "none", problems=[], digest="")


APPROVE = Verb(
    name="approve",
    summary="merge a pull request at the commit that was checked, or do what was proposed",
    who=MAINTAINERS,
    run=run_approve,
    params=(SHA,),
    examples=("/approve 1a2b3c4d",),
    irreversible=True,
    decides=True,
)
REJECT = Verb(
    name="reject",
    summary="close a pull request, or turn down what was proposed, for a reason that everybody can read",
    who=MAINTAINERS,
    run=run_reject,
    params=(REASON,),
    examples=("/reject the model is not yours to submit",),
    irreversible=True,
    decides=True,
)
