"""The comment in which something is proposed to the maintainers, from its first word to its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.core.render import Safe, render
from leaderboard.removals import part_of
from leaderboard.rename_checks import RenameCheckLine


@dataclass(frozen=True)
class Note:
    """Where the details of a renamed model are: at `wanted`, if they were `moved`, else still at `repo`."""

    repo: str
    wanted: str
    moved: bool


@dataclass(frozen=True)
class ProposalView:
    """Everything that it may say. `record` is the line that tells the bot what it wrote here; `parts` are the kinds of
    repo with the number of files that change there; `notes` tell what followed."""

    what: str
    words: Mapping[str, str]
    state: str
    record: Safe
    digest: str
    parts: Sequence[tuple[str, int]]
    by: str = ""
    lines: Sequence[RenameCheckLine] = ()
    why: str = ""
    commits: Sequence[str] = ()
    notes: Sequence[Note] = ()

    @property
    def reason(self) -> str:
        """Why it was asked for."""
        return self.words.get("reason", "")


def proposal_text(view: ProposalView) -> str:
    """The text of the comment."""
    return render("proposal", view=view, subject=_subject(view))


def _subject(view: ProposalView) -> str:
    """What it is about, in code: a model, with its precision and type of weights where those are meant."""
    name = view.words.get("model") or view.words.get("old", "")
    part = part_of(view.words)
    return f"{name} ({part})" if part else name
