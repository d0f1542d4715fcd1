"""Texts about renames: the report on a pull request that renames a model, and the answer to linking discussions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.core.pull_records import End
from bot.core.render import Safe, render
from leaderboard.rename_checks import RenameCheckLine

MAX_SHOWN_LINES = 20


@dataclass(frozen=True)
class RenameView:
    """The variables of the report. `record` is the hidden line with the facts that the bot reads again."""

    old: str
    new: str
    head: str
    record: Safe
    lines: Sequence[RenameCheckLine] = ()
    passed: bool = False
    partial: bool = False
    draft: bool = False
    checking: bool = False
    void: str = ""
    """The head of an earlier report, which is void."""
    end: End | None = None
    refused: str = ""
    commit: str = ""
    commit_url: str = ""
    by: str = ""

    @property
    def visible_lines(self) -> Sequence[RenameCheckLine]:
        """The lines that the report shows, failed checks first."""
        return sorted(self.lines, key=lambda line: line.ok)[:MAX_SHOWN_LINES]


def rename_report(view: RenameView) -> str:
    """The text of the report."""
    return render("rename", view=view)


LinkedState = Literal["passed", "problems", "merged", "closed", "taken-back"]


@dataclass(frozen=True)
class LinkedView:
    """A pull request that a discussion links, and its state."""

    old: str
    new: str
    number: int
    repo: str
    url: str
    state: LinkedState


def linked_answer(state: Literal["open", "over"], *, links: Sequence[LinkedView]) -> str:
    """The comment in a discussion that links pull requests which rename a model."""
    return render("rename_linked", state=state, links=links)
