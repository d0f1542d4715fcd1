"""Texts about pull requests: the report, the alarm about a reverted merge, and answers to approvals."""

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

MAX_SHOWN_OTHERS = 20
MAX_CHARACTERS = 60_000
"""Characters of a report; the Hub's limit for a comment is 65,536."""


@dataclass(frozen=True)
class FileView:
    """One request file of a report: its problems, or the model and the commit to evaluate."""

    path: str
    problems: Sequence[Problem] = ()
    model: str = ""
    model_url: str = ""
    sha: str = ""
    sender: str = ""
    """The `sender` in the file, which counts for nothing, if it is not the author of the pull request."""
    more: int = 0
    """The number of problems that the report leaves out."""


@dataclass(frozen=True)
class PullView:
    """The variables of the report. `record` is the hidden line with the facts that the bot reads again."""

    result: Result
    head: str
    record: Safe
    end: End | None = None
    files: Sequence[FileView] = ()
    others: Sequence[OtherFile] = ()
    most: int = 0
    count: int = 0
    void: str = ""
    """The head of an earlier report, which is void."""
    checking: bool = False
    """Whether the report is void and the new check has not ended."""
    draft: bool = False
    conflicts: Sequence[str] = ()
    merges_itself: bool = False
    followed: bool = True
    """Whether the bot will report the evaluation in this thread."""
    refused: str = ""
    """The Hub's message where it refused the merge."""
    commit: str = ""
    commit_url: str = ""
    by: str = ""
    author: str = ""
    """The author of the pull request, who is the submitter of its requests."""

    @property
    def shown_others(self) -> Sequence[OtherFile]:
        """The first of `others`, which the report lists."""
        return self.others[:MAX_SHOWN_OTHERS]


def pull_report(view: PullView) -> str:
    """The text of the report; a report that would be too long has only the first problems of each file."""
    for limit in (1_000, 10, 3, 1):
        files = [
            replace(file, problems=file.problems[:limit], more=max(0, len(file.problems) - limit))
            for file in view.files
        ]
        text = render("pull", view=replace(view, files=files))
        if len(text) <= MAX_CHARACTERS:
            break
    return text


def pull_alarm(*, head: str, commit: str, commit_url: str, count: int) -> str:
    """The comment that says why the bot reverts a merge."""
    return render("pull_alarm", head=head, commit=commit, commit_url=commit_url, count=count)


def approval_answer(answer: Approval, **variables: str) -> Safe:
    """The answer to a person who approved a pull request."""
    defaults = {"number": "", "sha": "", "head": "", "commit": "", "why": ""}
    return Safe(render("pull_approval", answer=answer, **{**defaults, **variables}).strip())
