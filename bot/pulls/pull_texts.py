"""The report on a pull request, the alarm when a merge was taken back, and the answers to whoever approves one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from bot.core.pull_records import End, Result
from bot.core.render import Safe, render
from leaderboard.reasons import Problem
from leaderboard.submissions import OtherFile

Approval = Literal[
    "merged",
    "held",
    "missing",
    "discussion",
    "over",
    "draft",
    "unchecked",
    "moved",
    "not-passed",
    "refused",
    "taken-back",
]

SHOWN_OTHERS = 20
LONGEST = 60_000
"""Characters of a comment; the Hub takes 65,536."""


@dataclass(frozen=True)
class FileView:
    """One request file: what is wrong with it, or the model and the commit that would be evaluated."""

    path: str
    problems: Sequence[Problem] = ()
    model: str = ""
    model_url: str = ""
    sha: str = ""
    more: int = 0
    """Problems that are left out here."""


@dataclass(frozen=True)
class PullView:
    """Everything that the report may say. `record` is the line that tells the bot what it wrote here."""

    result: Result
    head: str
    record: Safe
    end: End | None = None
    files: Sequence[FileView] = ()
    others: Sequence[OtherFile] = ()
    most: int = 0
    count: int = 0
    void: str = ""
    """The head that an earlier report was about."""
    checking: bool = False
    """Whether the report is void and there is no other yet."""
    draft: bool = False
    conflicts: Sequence[str] = ()
    merges_itself: bool = False
    followed: bool = True
    """Whether the thread will tell of the evaluation."""
    refused: str = ""
    """What the Hub said when it was to be merged."""
    commit: str = ""
    commit_url: str = ""
    by: str = ""

    @property
    def passing(self) -> int:
        """How many of the files pass."""
        return sum(not file.problems for file in self.files)

    @property
    def shown_others(self) -> Sequence[OtherFile]:
        """Those of `others` that are listed."""
        return self.others[:SHOWN_OTHERS]


def pull_report(view: PullView) -> str:
    """The text of the report; of very many problems only the first of each file are told."""
    for most in (1_000, 10, 3, 1):
        files = [replace(f, problems=f.problems[:most], more=max(0, len(f.problems) - most)) for f in view.files]
        text = render("pull", view=replace(view, files=files))
        if len(text) <= LONGEST:
            break
    return text


def pull_alarm(*, head: str, commit: str, commit_url: str, count: int) -> str:
    """The comment that tells everybody why a merge is being taken back."""
    return render("pull_alarm", head=head, commit=commit, commit_url=commit_url, count=count)


def approval_answer(answer: Approval, **words: str) -> Safe:
    """What to tell whoever approved a pull request."""
    known = {"number": "", "sha": "", "head": "", "commit": "", "why": ""}
    return Safe(render("pull_approval", answer=answer, **{**known, **words}).strip())
