"""The files of a model at one commit, read within bounds, in part or into the probe's folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hub.client import Hub
from hub.errors import TooLarge
from hub.records import Repo
from leaderboard.admission.facts import ModelFile


@dataclass(frozen=True)
class ModelRepo:
    """The commit `sha` of `repo`, which holds `files` (by name)."""

    hub: Hub
    repo: Repo
    sha: str
    files: dict[str, ModelFile]

    def has(self, name: str) -> bool:
        """Whether the commit has a file of this name."""
        return name in self.files

    def size(self, name: str) -> int | None:
        """The size of a file in bytes; None where the Hub does not give it."""
        file = self.files.get(name)
        return file.size if file is not None else None

    def save(self, name: str, folder: Path, *, max_bytes: int) -> bool:
        """Save a file of the repo in `folder`. Return False where the listing of the repo has no such file.

        One call, none where the listing shows that the file is too large. Raises hub.errors.TooLarge, and EntryNotFound
        where the Hub contradicts its listing: that is no fact about the model.
        """
        if not self.has(name):
            return False
        size = self.size(name)
        if size is not None and size > max_bytes:
            raise TooLarge(f"{name} has {size:,} bytes; the limit is {max_bytes:,}.")
        with (folder / Path(name).name).open("w+b") as target:
            self.hub.save_file(self.repo, name, self.sha, target, max_bytes=max_bytes)
        return True

    def start(self, name: str, length: int) -> bytes:
        """The first `length` bytes of a file, or all of a shorter one. One call."""
        return self.hub.read_range(self.repo, name, self.sha, 0, length)

    def part(self, name: str, start: int, end: int) -> bytes:
        """The bytes of a file from `start` up to `end`. One call."""
        return self.hub.read_range(self.repo, name, self.sha, start, end)

    def among(self, names: Iterable[str]) -> list[str]:
        """The `names` that the commit has files of."""
        return [name for name in names if self.has(name)]
