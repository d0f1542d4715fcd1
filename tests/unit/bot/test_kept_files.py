"""The cache of downloaded files has limits of size and age."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import pytest

from bot.probe import kept_files
from bot.probe.kept_files import KeptFiles


@pytest.mark.real_time("the kernel writes the times of new files")
def test_files_are_kept_within_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is downloaded once; the least recently used ones are removed first; a failed download is not kept."""
    monkeypatch.setattr(kept_files, "MAX_BYTES", 25)
    files, saved = KeptFiles(lambda: tmp_path), list[str]()

    def ask(name: str, at: float) -> None:
        place = tmp_path / "place"
        files.link(name, place, lambda file: (saved.append(name), file.write(b"x" * 10))[0])
        assert place.read_bytes() == b"x" * 10
        os.utime(place, (at, at))
        place.unlink()

    now = tmp_path.stat().st_mtime - 100
    for name, at in (("a", now), ("b", now + 1), ("a", now + 2), ("c", now + 3), ("a", now + 4)):
        ask(name, at)
    assert saved == ["a", "b", "c"]
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["a", "c"]
    ask("c", now - kept_files.KEPT_SECONDS - 60)
    ask("d", now)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["a", "d"]

    def broken(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError("cut off")

    with pytest.raises(OSError, match="cut off"):
        files.link("e", tmp_path / "place", broken)
    assert sorted(path.name for path in (tmp_path / "kept").iterdir()) == ["a", "d"]


def test_a_file_that_another_thread_removes_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cached file that another thread removes meanwhile causes no error."""
    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda folder: iter([folder / "removed", *listed(folder)]))
    KeptFiles(lambda: tmp_path).link("a", tmp_path / "place", lambda file: file.write(b"x"))
    assert (tmp_path / "place").read_bytes() == b"x"
