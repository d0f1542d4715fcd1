"""`/rename`: a model's files get its new name in all repos of the board at once, once a maintainer has approved it."""

from __future__ import annotations

from bot.changes import proposals
from bot.changes import renames as rename_saga
from bot.changes.command_answers import proposal_answer, proposed_by
from bot.changes.rename_sources import TooMuchToRead
from bot.core.commands.answers import acting, say
from bot.core.commands.model import Answer, Call, Param, Verb
from bot.core.commands.parameters import OWNERS
from bot.core.render import Safe

OLD = Param("model", "model", "the model's id as this leaderboard knows it, org/name", required=True)
NEW = Param("new", "model", "its id on the Hub now, org/name", required=True)


def run(call: Call) -> Answer:
    """Plan it, and propose that; nothing is changed before a maintainer approves."""
    old, new = call.get("model"), call.get("new")

    def act() -> Safe:
        known = proposed_by(call)
        if known is not None:  # by a bot that died; what it planned may even be done by now
            return proposal_answer(known.proposal)
        try:
            judged, parts = rename_saga.prepare(call.context, old, new, [call.person])
        except TooMuchToRead as error:
            return say("propose", how="no", problems=[error.problem], digest="")
        problems = [line.problem for line in judged.lines if not line.ok]
        if problems:
            return say("propose", how="no", problems=problems, digest="")
        words = {"old": old, "new": new, "asked": call.person.name, "asked_id": call.person.id}
        made = proposals.propose(call.context, "rename", words, parts)
        posted = proposals.post(call.context, call.repo, call.thread, call.cause, made, judged.lines)
        return proposal_answer(posted.proposal if posted is not None else None)

    return acting(act)


RENAME = Verb(
    name="rename",
    summary="give a model's requests and results its new name, once a maintainer has approved the plan",
    who=OWNERS,
    run=run,
    params=(OLD, NEW),
    about="anything",
    examples=("/rename org/old-name org/new-name",),
    irreversible=True,
    decides=True,
)
