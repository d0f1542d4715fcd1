"""The front end of a board. The known front ends differ in the files of the board that they read.

template    the Space from which boards are copied; it reads requests and results, and no table
gradio-v1   the Open LLM Leaderboard of 2023 and 2024, at its commit 33475fb: since June 2024 it reads a table
gradio-v2   the Gradio Space of its second version
react       the React Space that followed it
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from leaderboard.requests import Status

FrontEndName = Literal["template", "gradio-v1", "gradio-v2", "react"]
WaitingStatus = Literal["RERUN", "PENDING_NEW_EVAL"]


class FrontEnd(BaseModel):
    """The front end that the board file names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: FrontEndName = Field(
        default="template", description="`gradio-v1` and `gradio-v2` read [other columns](publishing.md#front-ends)"
    )
    statuses: tuple[WaitingStatus, ...] | None = Field(
        default=None,
        description="statuses besides PENDING of waiting requests that it lists: `RERUN`, `PENDING_NEW_EVAL`; without "
        "this field both, and none for `react`",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_board_file(cls, setting: Any) -> Any:
        """Read a bare name, or an object with fields."""
        return setting if isinstance(setting, Mapping | BaseModel) else {"name": setting}

    def lists(self, status: Status) -> bool:
        """Whether the front end lists requests with this status; users take a waiting request in no list for lost."""
        if not status.waits or status is Status.PENDING:
            return True
        return self.name != "react" if self.statuses is None else status in self.statuses
