"""`/approve` and `/reject`: a maintainer decides about a pull request, in its own thread."""

from __future__ import annotations

from bot.commands.call import Answer, Call, doing, say
from bot.commands.registry import Param, Place, Verb
from bot.commands.verbs.shared import MAINTAINERS, REASON
from bot.sync.approving import approve
from bot.texts.render import Safe
from hub.errors import Conflict

SHA = Param("sha", "word", "the commit that is approved, as the report names it; at least 7 characters", required=True)


def run_approve(call: Call) -> Answer:
    """Merge it at that very commit, if a report of ours says that it passed there."""
    return doing(lambda: approve(call.desk, call.repo, call.thread.num, call.get("sha"), call.person.name))


def run_reject(call: Call) -> Answer:
    """Close it, with the reason."""
    if call.thread.status in ("merged", "closed") and not call.resumed:
        return Answer(say("reject", state=call.thread.status), allowed=False)

    def act() -> Safe:
        marker = call.desk.marker("reject", call.comment.id)
        try:
            done = call.desk.effects.set_status(call.repo, call.thread.num, "closed", marker, asked=True)
        except Conflict:  # it was merged since it was read, perhaps by a command before this one
            return say("reject", state=call.desk.hub.thread(call.repo, call.thread.num).status)
        return say("reject", state="done" if done else "off", reason=call.get("reason"))

    return doing(act)


APPROVE = Verb(
    name="approve",
    summary="merge a pull request at the commit that was checked",
    who=MAINTAINERS,
    run=run_approve,
    params=(SHA,),
    where=frozenset({Place.PULL}),
    examples=("/approve 1a2b3c4d",),
    irreversible=True,
    decides=True,
)
REJECT = Verb(
    name="reject",
    summary="close a pull request, for a reason that everybody can read",
    who=MAINTAINERS,
    run=run_reject,
    params=(REASON,),
    where=frozenset({Place.PULL}),
    examples=("/reject the model is not yours to submit",),
    irreversible=True,
    decides=True,
)
