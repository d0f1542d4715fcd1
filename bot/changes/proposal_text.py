"""The text of the comment that holds a proposal, in each of its states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.core.render import Safe, render
from leaderboard.removals import part_of
from leaderboard.rename_checks import RenameCheckLine


@dataclass(frozen=True)
class Note:
    """The details repo of a renamed model: at `wanted` if the bot `moved` it, else still at `repo`."""

    repo: str
    wanted: str
    moved: bool


@dataclass(frozen=True)
class ProposalView:
    """The variables of the text.

    `record` is the hidden line with the proposal itself, `parts` are kinds of repo with the number of files that change
    there, `notes` state what followed from the commits. `waits`: edits are off or in shadow on this board, so an
    approved proposal waits.
    """

    what: str
    words: Mapping[str, str]
    state: str
    record: Safe
    digest: str
    parts: Sequence[tuple[str, int]]
    by: str = ""
    waits: bool = False
    lines: Sequence[RenameCheckLine] = ()
    why: str = ""
    commits: Sequence[str] = ()
    notes: Sequence[Note] = ()

    @property
    def reason(self) -> str:
        """The reason in the command."""
        return self.words.get("reason", "")


def proposal_text(view: ProposalView) -> str:
    """The text of the comment."""
    return render("proposal", view=view, subject=_subject(view))


def _subject(view: ProposalView) -> str:
    """The model, with precision and type of weights where the proposal is limited to them."""
    name = view.words.get("model") or view.words.get("old", "")
    part = part_of(view.words)
    return f"{name} ({part})" if part else name
