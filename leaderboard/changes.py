"""What a commit or a pull request does to one file, as git tells it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["added", "changed", "removed", "renamed", "copied"]

REGULAR = "100644"
"""The mode of a plain file; 100755 is an executable one, 120000 a symbolic link, 160000 another repo."""


@dataclass(frozen=True)
class FileChange:
    """One file of a diff. `old_path` is where a renamed or copied one was; `mode` is that after the change.

    `mode` is empty where the file is removed, or where the diff does not say it: then it did not change. `is_text` is
    False where git would not show the contents.
    """

    path: str
    kind: Kind
    mode: str = ""
    old_path: str | None = None
    is_text: bool = True

    @property
    def paths(self) -> tuple[str, ...]:
        """Every path that is touched: the old one first."""
        return (self.path,) if self.old_path is None else (self.old_path, self.path)
