"""Arguments and answers that several verbs share."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bot.changes import proposals
from bot.core.commands.call import Answer, Call, acting, say
from bot.core.commands.registry import Param
from bot.core.render import Safe
from bot.read_models.queue_texts import Code, QueueCommandResult
from leaderboard.roles import Role

MODEL = Param("model", "model", "a model's id on the Hub, org/name")
NAMED = Param("model", "model", "a model's id on the Hub, org/name", required=True)
PRECISION = Param("precision", "word", "which of the model's requests, such as bfloat16", by_name=True)
WEIGHTS = Param("weight_type", "word", "Original, Delta or Adapter", by_name=True)
REASON = Param("reason", "words", "why, in a sentence that everybody can read", required=True)
WHY = Param("reason", "words", "why, in a sentence that everybody can read")

ANYONE = frozenset({Role.ANYONE})
MAINTAINERS = frozenset({Role.MAINTAINER})
OWNERS = frozenset({Role.MAINTAINER, Role.OWNER})
THEIRS = frozenset({Role.MAINTAINER, Role.OWNER, Role.SUBMITTER})

DONE: Mapping[Code, Code] = {
    "cancelled-already": "cancelled",
    "held-already": "held",
    "not-held": "unheld",
    "priority-already": "priority",
    "paused-already": "paused",
    "not-paused": "resumed",
}
"""What is said where there is nothing to be done any more → where it was done."""


def queue_ruling(call: Call, rule: Callable[[], QueueCommandResult]) -> Answer:
    """A verb that is a ruling about the queue. What a bot that died had done already is told as done."""

    def act() -> Safe:
        ruling = rule()
        done = DONE.get(ruling.code) if call.resumed else None
        if done is not None:
            ruling = QueueCommandResult(done, True, ruling.what, ruling.reason)
        return Safe(ruling.words)

    return acting(act)


def proposed_by(call: Call) -> proposals.PostedProposal | None:
    """What this very command has proposed already, in the thread where it was given."""
    return next((one for one in proposals.find(call.context, call.thread) if one.cause == call.cause), None)


def proposal_answer(proposal: proposals.Proposal | None) -> Safe:
    """How a proposal stands; None where the board let none be written."""
    if proposal is None:
        return say("propose", how="off", problems=[], digest="")
    how = "proposed" if proposal.state == "open" else proposal.state
    return say("propose", how=how, problems=[], digest=proposal.digest[:8])
