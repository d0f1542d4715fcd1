"""Applies a transition to a request file as the bot does."""

from __future__ import annotations

from bot.ledger.edits import PresentFile, blob_id, plan
from bot.request_files.file_edits import transition_edit
from leaderboard.boards import parse_board
from leaderboard.requests import Request
from leaderboard.transitions import Transition
from steward.testing.board import BOARD


def written(step: Transition, request: Request, more: str = "") -> str:
    """Return the text of the request file after the transition `step`, on a board with the lines `more` in its file."""
    path, data = str(request.path), request.raw.encode()
    edit = transition_edit(parse_board(f"{BOARD}{more}"), request, None, step, name="a step", line="Do it", known={})
    made = plan([edit], {path: PresentFile(blob_id(data), data)})
    assert made.written == [edit]
    return (made.contents[path] or b"").decode()
