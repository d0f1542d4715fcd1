"""Files of a mounted model: the worker copies only those that match the Hub's checksums."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from workers.models.blobs import BlobRef
from workers.models.mounted_files import copy_mounted

NAME, CONTENT = "model.safetensors", b"weights of the model"
BLOB = BlobRef(len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
GIT_BLOB = BlobRef(2, oid="9e26dfeeb6e641a33dae4961196235bdb965b21b")
"""The git blob of a file with the content `{}`."""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A mounted folder with one file, and one for downloads."""
    volume, folder = tmp_path / "volume", tmp_path / "folder"
    volume.mkdir()
    folder.mkdir()
    (volume / NAME).write_bytes(CONTENT)
    return volume, folder


def test_files_that_match_the_hubs_checksums_are_copied(folders: tuple[Path, Path]) -> None:
    """Files that match their SHA-256 or git checksum are copied, not linked, also from a subfolder."""
    volume, folder = folders
    (volume / "additional_chat_templates").mkdir()
    (volume / "additional_chat_templates" / "a.json").write_bytes(b"{}")
    files = {NAME: BLOB, "additional_chat_templates/a.json": GIT_BLOB, "missing.json": GIT_BLOB}
    assert copy_mounted(volume, folder, files) == ["missing.json"]
    (volume / NAME).write_bytes(b"other")
    assert (folder / NAME).read_bytes() == CONTENT and not (folder / NAME).is_symlink()
    assert (folder / "additional_chat_templates" / "a.json").read_bytes() == b"{}"


def _link(file: Path) -> None:
    file.rename(file.with_name("target"))
    file.symlink_to(file.with_name("target"))


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda file: file.write_bytes(CONTENT.upper()), id="other bytes of the same length"),
        pytest.param(lambda file: file.write_bytes(CONTENT[:-1]), id="shorter"),
        pytest.param(lambda file: file.write_bytes(CONTENT + b"!"), id="longer"),
        pytest.param(lambda file: file.unlink(), id="missing"),
        pytest.param(_link, id="a link"),
        pytest.param(_folder, id="a folder"),
        pytest.param(_pipe, id="a pipe"),
    ],
)
def test_a_different_file_is_left_to_the_download(folders: tuple[Path, Path], change: Callable[[Path], object]) -> None:
    """A file that is missing, differs from the checksum or is not a plain file is listed for download, not copied."""
    volume, folder = folders
    change(volume / NAME)
    assert copy_mounted(volume, folder, {NAME: BLOB}) == [NAME]
    assert not (folder / NAME).exists()


def test_a_file_without_a_checksum_is_left_to_the_download(folders: tuple[Path, Path]) -> None:
    """A file without a checksum, or without a mounted folder, is listed for download."""
    volume, folder = folders
    assert copy_mounted(volume, folder, {NAME: BlobRef(len(CONTENT))}) == [NAME]
    assert copy_mounted(volume / "nowhere", folder, {NAME: BLOB}) == [NAME]
