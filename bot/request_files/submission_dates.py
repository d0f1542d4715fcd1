"""Correct a request's time of submission if it lies in the future."""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.request_files.file_edits import digest_of, stage_transition
from bot.request_files.gather import RequestFacts
from leaderboard.times import corrected_time
from leaderboard.transitions import RESTS_ON, Transition


def is_being_dated(context: BoardContext, gathered: RequestFacts) -> bool:
    """Whether an edit that sets the file's future time to now is staged; the request is judged after that edit.

    Front ends order their queues by this time. False if the time may stay, or if the board allows no edits.
    """
    request, file = gathered.request, gathered.file
    corrected = corrected_time(request.file.submitted_time, context.now())
    if corrected is None:
        return False
    step = Transition({"submitted_time": corrected})
    name, line = f"date {file.oid} {digest_of(str(request.path))}", f"Date {request.path.model}"
    return stage_transition(context, request, file, step, name=name, line=line, rests_on=(*RESTS_ON, "submitted_time"))
