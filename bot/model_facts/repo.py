"""The files of a model at one commit: which there are, and reading them within bounds into the probe's folder."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hub.client import Hub
from hub.errors import EntryNotFound, TooLarge
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
        """Whether there is a file of this name."""
        return name in self.files

    def size(self, name: str) -> int | None:
        """Bytes of a file, None where the Hub does not say."""
        file = self.files.get(name)
        return file.size if file is not None else None

    def save(self, name: str, folder: Path, *, max_bytes: int) -> bool:
        """Put a file of the repo into `folder`; False where it has none of this name.

        One call, or none where the listing tells already that it is too large. Raises hub.errors.TooLarge.
        """
        if not self.has(name):
            return False
        size = self.size(name)
        if size is not None and size > max_bytes:
            raise TooLarge(f"{name} is {size:,} bytes long; we take {max_bytes:,} at most.")
        try:
            with (folder / Path(name).name).open("w+b") as into:
                self.hub.save_file(self.repo, name, self.sha, into, max_bytes=max_bytes)
        except EntryNotFound:
            return False
        return True

    def start(self, name: str, length: int) -> bytes:
        """The first `length` bytes of a file; fewer where it is shorter. One call."""
        return self.hub.read_range(self.repo, name, self.sha, 0, length)

    def part(self, name: str, start: int, end: int) -> bytes:
        """The bytes of a file from `start` up to `end`. One call."""
        return self.hub.read_range(self.repo, name, self.sha, start, end)

    def among(self, names: Iterable[str]) -> list[str]:
        """Those of `names` that there are."""
        return [name for name in names if self.has(name)]
