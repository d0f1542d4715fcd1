"""`/rename`: propose to give a model's files its new name in all repos of the board; a maintainer approves."""

from __future__ import annotations

from bot.changes import proposals
from bot.changes import renames as rename_saga
from bot.changes.proposals import not_proposed, proposal_answer, proposed_by
from bot.changes.rename_sources import TooMuchToRead
from bot.core.commands.answers import acting
from bot.core.commands.model import Answer, Call, Param, Verb
from bot.core.commands.parameters import OWNERS

OLD = Param("model", "model", "the model's id as this leaderboard knows it, org/name", required=True)
NEW = Param("new", "model", "the model's new id on the Hub, org/name", required=True)


def run(call: Call) -> Answer:
    """Plan the rename and post the plan as a proposal."""
    old, new = call.get("model"), call.get("new")

    def act() -> Answer:
        earlier = proposed_by(call)
        if earlier is not None:  # a process that died posted it; a maintainer may even have approved it since
            return proposal_answer(earlier.proposal)
        try:
            verdict, parts = rename_saga.prepare(call.context, old, new, [call.person])
        except TooMuchToRead as error:
            return not_proposed([error.problem])
        problems = [line.problem for line in verdict.lines if not line.ok]
        if problems:
            return not_proposed(problems)
        words = {"old": old, "new": new, "asked": call.person.name, "asked_id": call.person.id}
        proposal = proposals.propose(call.context, "rename", words, parts)
        posted = proposals.post(call.context, call.repo, call.thread, call.cause, proposal, verdict.lines)
        return proposal_answer(posted.proposal if posted is not None else None)

    return acting(act)


RENAME = Verb(
    name="rename",
    summary="give a model's requests and results its new name; a maintainer approves the plan first",
    who=OWNERS,
    run=run,
    params=(OLD, NEW),
    about="anything",
    new_name=NEW.name,
    examples=("/rename org/old-name org/new-name",),
    irreversible=True,
    decides=True,
)
