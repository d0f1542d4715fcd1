"""The branches with answers that workers of this machine made, so that they can remove old ones.

    journals/branches/{branch}      holds the name of its repo; its time is that of the last upload

A worker removes a branch at the end of its request. The branch stays if the request fails for a reason on the board's
side, so that a relaunch goes on with its answers, or if the worker dies before. No call to the Hub lists the branches
of all repos, so the machine that made a branch remembers it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from workers.publication.answer_branches import MAX_AGE_SECONDS, PREFIX, BranchName

MAX_NOTES = 1_000
"""Branches that are remembered at most; older ones are forgotten."""
MAX_ABANDONED = 8
"""Old branches that are removed at one time."""


class MadeBranches:
    """The branches that are remembered in `folder`. Workers that share the folder may note and forget at once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, repo: str, branch: BranchName) -> None:
        """Remember `branch` of `repo` from now on. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / str(branch)).write_text(repo, "utf-8")
        for note in self._oldest_first()[:-MAX_NOTES]:
            note.unlink(missing_ok=True)

    def forget_request(self, branch: BranchName) -> None:
        """Forget the branches of the request of `branch`: they are removed."""
        self.forget(note.name for note in self._oldest_first() if branch.is_of_request(note.name))

    def forget(self, branches: Iterable[str]) -> None:
        """Forget these branches."""
        for branch in branches:
            (self._folder / branch).unlink(missing_ok=True)

    def abandoned(self) -> dict[str, str]:
        """Branches without an upload for MAX_AGE_SECONDS, with their repos: the oldest MAX_ABANDONED of them."""
        limit = time.time() - MAX_AGE_SECONDS
        branches = {}
        for note in [note for note in self._oldest_first() if _time(note) < limit][:MAX_ABANDONED]:
            with suppress(FileNotFoundError):  # another worker of this machine has just removed it
                branches[note.name] = note.read_text("utf-8")
        return branches

    def _oldest_first(self) -> list[Path]:
        return sorted(self._folder.glob(f"{PREFIX}*"), key=_time)


def _time(note: Path) -> float:
    """When the branch was last noted; 0 if another worker has just forgotten it."""
    try:
        return note.stat().st_mtime
    except FileNotFoundError:
        return 0.0
