"""The result that a request has while a newer evaluation of it is under way.

The path of a request has no revision, so whoever submits a newer commit writes over the request that has results, and
front ends that show what has FINISHED would lose the model for as long as that takes. So the request says
PENDING_NEW_EVAL while it waits, where the board's front end shows those; its results stay; and should the newer
evaluation fail, it says FINISHED again, with that failure noted, and the commit at which it can be made once more.

Race accepted: somebody writes a new file over a finished one, and Redis is lost before it was looked at. The results
stay in their repo all the same, and the request ends as the new evaluation does.
"""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.request_files.file_edits import digest_of, stage_transition
from bot.request_files.gather import RequestFacts
from leaderboard import transitions
from leaderboard.requests import PreviousResult, Request, Status
from redis_state.board.entry import IndexEntry

OVER = ("FINISHED", "PENDING_NEW_EVAL")


def earlier_result(before: IndexEntry, request: Request) -> PreviousResult | None:
    """The result that `request` has, as its file says it, else as the entry `before` knew the file that was there."""
    status = request.status
    if status is Status.CANCELLED:
        return request.file.steward.kept
    if status is None or not (status.waits or status is Status.RUNNING):
        return None
    kept = transitions.previous_result_of(request)
    if kept is not None:
        return kept
    was = before.standing
    if before.kept is None and was.status in OVER and was.revision:
        return PreviousResult(revision=was.revision, results=was.results or None, log=was.log or None)
    return before.kept


def show_earlier(context: BoardContext, gathered: RequestFacts) -> None:
    """Have a request that was accepted say PENDING_NEW_EVAL, where it has a result and the front end shows it then."""
    kept, status = gathered.entry.kept, gathered.request.status
    if kept is None or status is not Status.PENDING or not context.board.shows_new_evals:
        return
    name = f"show {gathered.file.oid} {digest_of(gathered.entry.path)}"
    line = f"Go on showing the result of {gathered.request.path.model}"
    step = transitions.show_previous_transition(kept)
    stage_transition(context, gathered.request, gathered.file, step, name=name, line=line)
