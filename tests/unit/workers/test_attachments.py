"""Checks of the files that an evaluator attaches: invalid attachments fail the evaluation with a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from leaderboard.evaluator_files import EvaluatorProblem
from workers.publication.evaluator_results import attachments

ATTACHED = "attachments"


def test_plain_files_are_taken_by_name(tmp_path: Path) -> None:
    """The worker lists the attached files sorted by name, and none if the folder is missing."""
    assert attachments(tmp_path) == []
    (tmp_path / ATTACHED).mkdir()
    for name in ("b.eval", "a-1_x.json"):
        (tmp_path / ATTACHED / name).write_bytes(b"x")
    assert [file.name for file in attachments(tmp_path)] == ["a-1_x.json", "b.eval"]


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate((64 << 20) + 1)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (lambda folder: (folder / "more").mkdir(), "attachments/more: attachments are plain files"),
    "a link": (lambda folder: (folder / "x").symlink_to("/etc/hostname"), "attachments/x: attachments are plain files"),
    "a hidden file": (lambda folder: (folder / ".x").touch(), r"attachments/\.x: attachments are plain files"),
    "an odd name": (lambda folder: (folder / "a\nb").touch(), "attachments are plain files, whose names have letters"),
    "a name like an option": (lambda folder: (folder / ("-" + "x" * 50)).touch(), "attachments are plain files"),
    "many files": (
        lambda folder: [(folder / f"{n}").touch() for n in range(51)],
        "attachments/ has more than 50 files",
    ),
    "gigabytes": (lambda folder: _sparse(folder / "x"), "in attachments/ have more than 67,108,864 bytes"),
}


@pytest.mark.parametrize(("leave", "words"), BAD.values(), ids=BAD)
def test_other_attachments_are_refused(tmp_path: Path, leave: Callable[[Path], object], words: str) -> None:
    """The worker refuses folders, links, odd names, and too many or too large files; the error says what is wrong."""
    (tmp_path / ATTACHED).mkdir()
    leave(tmp_path / ATTACHED)
    with pytest.raises(EvaluatorProblem, match=words) as refused:
        attachments(tmp_path)
    assert refused.value.kind == "invalid"


def test_a_linked_folder_is_not_followed(tmp_path: Path) -> None:
    """The worker ignores an `attachments` folder that is a symbolic link, because it could point to foreign files."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").touch()
    (tmp_path / ATTACHED).symlink_to(tmp_path / "elsewhere")
    assert attachments(tmp_path) == []
