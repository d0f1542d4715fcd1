"""A change of one file in a commit or a pull request, as git reports it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["added", "changed", "removed", "renamed", "copied"]

REGULAR = "100644"
"""The git mode of a plain file; 100755 is an executable file, 120000 a symbolic link, 160000 a submodule."""


@dataclass(frozen=True)
class FileChange:
    """One file of a diff. `old_path` is the source of a rename or a copy; `mode` is the mode after the change.

    `mode` is empty if the file is removed, or if the diff does not name a mode because it did not change. `is_text` is
    False if git does not show the contents.
    """

    path: str
    kind: Kind
    mode: str = ""
    old_path: str | None = None
    is_text: bool = True

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that the change touches, the old path first."""
        return (self.path,) if self.old_path is None else (self.old_path, self.path)


def removed_paths(change: FileChange) -> list[str]:
    """Return the paths at which a change leaves no file."""
    if change.kind == "removed":
        return [change.path]
    return [change.old_path] if change.kind == "renamed" and change.old_path is not None else []
