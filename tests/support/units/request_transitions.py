"""Applies a transition to a request file as the bot does."""

from __future__ import annotations

from bot.ledger.edits import PresentFile, blob_id, plan
from bot.request_files.file_edits import transition_edit
from leaderboard.requests import Request
from leaderboard.transitions import Transition


def written(step: Transition, request: Request) -> str:
    """The text of the file of `request` once `step` has landed."""
    path, data = str(request.path), request.raw.encode()
    edit = transition_edit(request, None, step, name="a step", line="Do it", known={})
    made = plan([edit], {path: PresentFile(blob_id(data), data)})
    assert made.written == [edit]
    return (made.contents[path] or b"").decode()
