"""Files of a mounted model: only those whose copies are what the Hub names count."""

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
"""Of the file `{}`."""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A mounted folder with one file, and one for downloads."""
    volume, folder = tmp_path / "volume", tmp_path / "folder"
    volume.mkdir()
    folder.mkdir()
    (volume / NAME).write_bytes(CONTENT)
    return volume, folder


def test_what_the_hub_names_is_copied(folders: tuple[Path, Path]) -> None:
    """By either checksum, also from a subfolder; the copy does not change with the mounted file."""
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
def test_anything_else_is_left_to_the_download(folders: tuple[Path, Path], change: Callable[[Path], object]) -> None:
    """And nothing of it stays where the download puts its file."""
    volume, folder = folders
    change(volume / NAME)
    assert copy_mounted(volume, folder, {NAME: BLOB}) == [NAME]
    assert not (folder / NAME).exists()


def test_a_file_without_a_checksum_is_left_to_the_download(folders: tuple[Path, Path]) -> None:
    """There is nothing that its copy could be compared with. The same without a mounted folder."""
    volume, folder = folders
    assert copy_mounted(volume, folder, {NAME: BlobRef(len(CONTENT))}) == [NAME]
    assert copy_mounted(volume / "nowhere", folder, {NAME: BLOB}) == [NAME]
