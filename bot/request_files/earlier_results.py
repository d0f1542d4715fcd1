"""The result that a request has while a newer evaluation of it is under way.

The path of a request has no revision, so submitting a newer commit overwrites the request that has results, and front
ends that show FINISHED requests would lose the model meanwhile. Therefore the file names the result while the request
waits, and says PENDING_NEW_EVAL, if the board's front end lists that status. The results stay. If the newer evaluation
fails, the request says FINISHED again, with the failure and the commit at which the evaluation can be repeated.

Race accepted: a person overwrites a finished file, and Redis is lost before the next sync. The results stay in their
repo, and the request ends as the new evaluation does.
"""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.request_files.file_edits import digest_of, stage_transition
from bot.request_files.gather import RequestFacts
from leaderboard import transitions
from leaderboard.requests import Request, Status
from leaderboard.steward_facts import PreviousResult
from redis_state.board.entry import IndexEntry

OVER = ("FINISHED", "PENDING_NEW_EVAL")


def earlier_result(before: IndexEntry, request: Request) -> PreviousResult | None:
    """The result that `request` has: by its file, else by the entry `before`, which describes the previous file."""
    status = request.status
    if status is Status.CANCELLED:
        return request.file.steward.kept
    if status is None or not (status.waits or status is Status.RUNNING):
        return None
    result = transitions.previous_result_of(request)
    if result is not None:
        return result
    snapshot = before.standing
    if before.kept is None and snapshot.status in OVER and snapshot.revision:
        return PreviousResult(revision=snapshot.revision, results=snapshot.results or None, log=snapshot.log or None)
    return before.kept


def show_earlier(context: BoardContext, gathered: RequestFacts) -> None:
    """Stage the status under which the front end shows an accepted request, and its earlier result in the file.

    That is PENDING_NEW_EVAL for a request that has a result and says PENDING, if the front end lists that status.
    """
    request, status = gathered.request, gathered.request.status
    result = gathered.entry.kept if status is Status.PENDING else None
    wanted = status if result is None else Status.PENDING_NEW_EVAL
    if wanted is None or (context.board.listed(wanted) is status and (result is None or request.file.steward.kept)):
        return
    name = f"show {gathered.file.oid} {digest_of(gathered.entry.path)}"
    line = f"Go on showing the result of {request.path.model}" if result else f"List {request.path.model} as waiting"
    step = transitions.waiting_transition(wanted, result)
    stage_transition(context, request, gathered.file, step, name=name, line=line)
