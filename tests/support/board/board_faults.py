"""Faults of a board that `steward doctor` and the other setup commands must notice."""

from __future__ import annotations

import json

from steward.testing.board import BoardDriver

PATH = "ada/good_eval_request_False_float32_Original.json"


def without_community(stand: BoardDriver) -> None:
    """Delete the community repo."""
    space = stand.hub.state.repos.get("space", "board/space")
    assert space is not None
    stand.hub.state.repos.delete(space, None)


def another_backend(stand: BoardDriver) -> None:
    """Change a status as another backend would: with an account that is no longer one of the board's front ends."""
    stand.put(PATH, json.dumps({"model": "ada/good", "status": "PENDING"}).encode())
    stand.context.board = stand.context.board.model_copy(update={"front_ends": ()})
    stand.put(PATH, json.dumps({"model": "ada/good", "status": "RUNNING", "job_id": "4711"}).encode())
