"""When a request says that it was submitted: nobody can do that after the commit that brings it."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.request_files.file_edits import digest_of, stage_transition
from bot.request_files.gather import RequestFacts
from leaderboard.times import corrected_time
from leaderboard.transitions import RESTS_ON, Transition


def is_being_dated(context: BoardContext, gathered: RequestFacts) -> bool:
    """Whether the file's time, which is in the future, is being set to now: then the request is judged when it is.

    Front ends order their queues by it. False where the time may stay, or where the board lets no edit happen.
    """
    request, file = gathered.request, gathered.file
    said = corrected_time(request.file.submitted_time, context.now())
    if said is None:
        return False
    step = Transition({"submitted_time": said})
    name, line = f"date {file.oid} {digest_of(str(request.path))}", f"Date {request.path.model}"
    return stage_transition(context, request, file, step, name=name, line=line, rests_on=(*RESTS_ON, "submitted_time"))
