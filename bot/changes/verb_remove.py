"""`/remove` and `/restore`: take a model's results and requests off the board, and put them back.

The command of a model's owner is a proposal that a maintainer approves; the command of a maintainer runs at once.
Nothing is deleted.
"""

from __future__ import annotations

from bot.changes import applying, proposals
from bot.changes.proposals import What, completed_answer, not_proposed, proposed_by
from bot.changes.removals import REMOVE, RESTORE, Removal
from bot.core.commands.answers import acting
from bot.core.commands.model import Answer, Call, Verb
from bot.core.commands.parameters import OPTIONAL_REASON, OWNERS, PRECISION, REASON, REQUIRED_MODEL, WEIGHTS
from leaderboard.reasons import Problem
from redis_state.clock import iso


def run_remove(call: Call) -> Answer:
    """Propose the removal, or remove at once for a maintainer."""
    return _run(call, "remove", REMOVE)


def run_restore(call: Call) -> Answer:
    """Propose to undo a removal, or undo it at once for a maintainer."""
    return _run(call, "restore", RESTORE)


def _run(call: Call, what: What, removal: Removal) -> Answer:
    words = {
        "model": call.entry.model or call.get("model") if call.entries else call.get("model"),
        "precision": call.get("precision"),
        "weight_type": call.get("weight_type"),
        "reason": call.get("reason"),
        "by": call.person.name,
        "at": iso(call.comment.created_at.timestamp()),
    }

    def act() -> Answer:
        posted = proposed_by(call)
        if posted is None:
            parts = removal.prepare(call.context, words)
            if isinstance(parts, Problem):
                return not_proposed([parts])
            by = call.person.name if call.is_maintainer else ""
            proposal = proposals.propose(call.context, what, words, parts, by=by)
            posted = proposals.post(call.context, call.repo, call.thread, call.cause, proposal)
        return completed_answer(
            applying.complete(call.context, call.repo, call.thread, posted) if posted is not None else None
        )

    return acting(act)


REMOVE_VERB = Verb(
    name="remove",
    summary="take a model's results and requests off the leaderboard; /restore puts them back",
    who=OWNERS,
    run=run_remove,
    params=(REQUIRED_MODEL, PRECISION, WEIGHTS, REASON),
    about="model",
    examples=("/remove org/model its weights were wrong", "/remove org/model precision=4bit evaluated by mistake"),
    irreversible=True,
    decides=True,
)
RESTORE_VERB = Verb(
    name="restore",
    summary="put back a model that was removed",
    who=OWNERS,
    run=run_restore,
    params=(REQUIRED_MODEL, PRECISION, WEIGHTS, OPTIONAL_REASON),
    about="model",
    examples=("/restore org/model",),
    irreversible=True,
    decides=True,
)
