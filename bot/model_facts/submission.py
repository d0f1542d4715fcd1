"""Gather all facts that the rules of admission read, for one submission from any source."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.model_facts.board_facts import gather_board_facts
from bot.model_facts.model import gather_model_facts
from leaderboard.admission import Submission
from leaderboard.requests import Request


def gather_submission(context: BoardContext, request: Request, submitter: str, *, revision: str = "") -> Submission:
    """The facts about `request` by `submitter` ("": unknown). It writes nothing.

    `revision` is the commit that is pinned for the request, if any. Raises HubError where the Hub does not answer.
    """
    facts = gather_model_facts(
        context.hub,
        context.probe,
        request.path.model,
        revision or (request.file.revision or "").strip() or "main",
        weight_type=request.path.weight_type,
        base_model=request.file.base_model or "",
        read_private=context.board.admission.private_models,
    )
    return Submission(request, facts, context.board, gather_board_facts(context, request, facts, submitter))
