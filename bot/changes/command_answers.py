"""Answers to commands that propose a change: `/rename`, `/remove`, `/restore`."""

from __future__ import annotations

from bot.changes import proposals
from bot.core.commands.answers import say
from bot.core.commands.model import Call
from bot.core.render import Safe


def proposed_by(call: Call) -> proposals.PostedProposal | None:
    """The proposal that this command has already posted in its thread, if any."""
    return next((posted for posted in proposals.find(call.context, call.thread) if posted.cause == call.cause), None)


def proposal_answer(proposal: proposals.Proposal | None) -> Safe:
    """The answer that states the result of a proposal; None: comments or edits are off or in shadow on this board."""
    if proposal is None:
        return say("propose", how="off", problems=[], digest="")
    how = "proposed" if proposal.state == "open" else proposal.state
    return say("propose", how=how, problems=[], digest=proposal.digest[:8])
