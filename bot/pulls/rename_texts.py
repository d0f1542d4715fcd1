"""The report on a pull request that renames a model, and what discussions that link one are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bot.core.pull_records import End
from bot.core.render import Safe, render
from leaderboard.rename_checks import RenameCheckLine

SHOWN = 20


@dataclass(frozen=True)
class RenameView:
    """Everything that the report may say. `record` is the line that tells the bot what it wrote here."""

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
    """The head that an earlier report was about."""
    end: End | None = None
    refused: str = ""
    commit: str = ""
    commit_url: str = ""
    by: str = ""

    @property
    def visible_lines(self) -> Sequence[RenameCheckLine]:
        """Those of `lines` that are listed: what is wrong first."""
        return sorted(self.lines, key=lambda line: line.ok)[:SHOWN]


def rename_report(view: RenameView) -> str:
    """The text of the report."""
    return render("rename", view=view)


Became = Literal["passed", "problems", "merged", "closed", "taken-back"]


@dataclass(frozen=True)
class LinkedView:
    """A pull request that a discussion links, and what became of it."""

    old: str
    new: str
    number: int
    repo: str
    url: str
    state: Became


def linked_answer(state: Literal["open", "over"], *, links: Sequence[LinkedView]) -> str:
    """What a discussion is told that links pull requests which rename."""
    return render("rename_linked", state=state, links=links)
