"""Makes the form's account a maintainer of a board."""

from __future__ import annotations

from typing import Any

from steward.testing.board import BoardDriver


def add_maintainer(stand: BoardDriver, **settings: Any) -> None:
    """Make the form's account the board's maintainer, and change these other settings of the board."""
    form = stand.context.hub.user("form").id
    stand.context.board = stand.context.board.model_copy(update={"maintainers": (form,), **settings})
