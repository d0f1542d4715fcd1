"""The store of models on this machine's disk: holds each file once for all commits and repos, within a size limit.

    blobs/{sha256 | git blob id}              contents of files
    snapshots/{org--name}/{commit}/…          one model at one commit: only hard links to blobs
    snapshots/{org--name}/{commit}.complete   marks a complete snapshot; touched at each use
    snapshots/{org--name}/{commit}.lock       held shared by users of the snapshot, exclusively to fill or evict it
    staging/{org--name}/{commit}/…            a download under way, with links to blobs that the store already had
    staging/{org--name}/{commit}.bytes        the number of bytes that the download will add
    lock                                      held briefly to link or evict

A blob is compared with the Hub's size and checksum when it arrives, before it is shared, and reaches the disk before
its snapshot counts as complete. A reuse compares size and time only (`workers.models.blobs`); a blob that differs is
downloaded again.

A commit that changes only a README downloads no weights: it links to the same blobs. When the limit or the disk would
be exceeded, the least recently used snapshots are evicted, never one in use. Several workers and their prefetching
processes share a store; all locks are kernel locks, which end with the process that holds them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workers.errors import DiskFull, DownloadError
from workers.models.blobs import BlobRef, check_arrived

POLL_SECONDS = 0.1
PINNED = ".kept"
"""The folder of a download with links to the blobs that the store already had, so that it does not remove them."""


@dataclass(frozen=True)
class PinnedSnapshot:
    """A snapshot that is not evicted until it is released, or this process ends."""

    folder: Path
    lock: IO[bytes]

    def release(self) -> None:
        """Allow the store to evict the snapshot."""
        self.lock.close()


Download = Callable[[Path, list[str]], None]
"""Downloads the named files of the commit to a folder."""


class ModelStore:
    """The store in the folder `root`: at most `max_bytes` (None: all the disk), with `reserved_bytes` left free."""

    def __init__(self, root: Path, *, max_bytes: int | None = None, reserved_bytes: int = 0) -> None:
        self.root = root
        self.max_bytes = max_bytes
        self.reserved_bytes = reserved_bytes
        self.blobs = root / "blobs"

    def pin(self, model: str, revision: str, files: Mapping[str, BlobRef], download: Download) -> PinnedSnapshot:
        """Download the missing files of the snapshot, and pin it. Waits for another process that downloads it.

        Raises DiskFull, BlobDiffers, and what `download` raises.
        """
        folder = self.root / "snapshots" / model.replace("/", "--") / revision
        folder.parent.mkdir(parents=True, exist_ok=True)
        complete = folder.with_name(f"{revision}.complete")
        while True:
            lock = _lock(folder.with_name(f"{revision}.lock"), fcntl.LOCK_SH)
            if complete.exists() and _holds(folder, files):
                os.utime(complete)
                return PinnedSnapshot(folder, lock)
            lock.close()
            with _lock(folder.with_name(f"{revision}.lock"), fcntl.LOCK_EX):
                if not (complete.exists() and _holds(folder, files)):
                    complete.unlink(missing_ok=True)
                    self._fill(folder, files, download)
                    complete.touch()

    def _fill(self, folder: Path, files: Mapping[str, BlobRef], download: Download) -> None:
        for name in files:
            if not (folder / name).resolve().is_relative_to(folder.resolve()):
                raise DownloadError(f"the repo has a file named {name[:80]!r}")
        staging = self.root / "staging" / folder.parent.name / folder.name
        staging.mkdir(parents=True, exist_ok=True)
        self._missing(files)  # computes checksums of blobs from earlier versions, not while others wait for the lock
        missing = self._reserve_space(files, staging)
        if missing:
            download(staging, list(missing))
        for name, blob in missing.items():
            check_arrived(staging / name, blob)
        with self._locked():
            self._link(folder, staging, files)
            shutil.rmtree(staging)
            _bytes_note(staging).unlink()

    def _link(self, folder: Path, staging: Path, files: Mapping[str, BlobRef]) -> None:
        shutil.rmtree(folder, ignore_errors=True)  # a killed process may have left a part of it
        for name, blob in files.items():
            link, stored = folder / name, self.blobs / (blob.name or f"nameless-{time.monotonic_ns()}")
            link.parent.mkdir(parents=True, exist_ok=True)
            if not blob.is_in(stored):
                check_arrived(staging / name, blob)
                (staging / name).rename(stored)
            os.link(stored, link)
        for parent in {self.blobs, folder.parent, folder, *((folder / name).parent for name in files)}:
            sync_to_disk(parent)

    # --- the size limit

    def _reserve_space(self, files: Mapping[str, BlobRef], staging: Path) -> dict[str, BlobRef]:
        """Evict until the missing files fit, and note their size. Return the missing files. Raises DiskFull.

        An evicted snapshot may share blobs with `files`, which are then missing too. Blobs that are here in the end are
        pinned, because other snapshots that link to them may be evicted during the download.
        """
        with self._locked():
            self.blobs.mkdir(parents=True, exist_ok=True)
            _bytes_note(staging).write_text("0")  # an earlier try's figure; an eviction may remove this download
            missing = self._missing(files)
            while not self._fits(_bytes(missing)):
                if not self._evict_one():
                    raise DiskFull(self._shortage(_bytes(missing)))
                missing = self._missing(files)
            _bytes_note(staging).write_text(str(_bytes(missing)))
            (staging / PINNED).mkdir(exist_ok=True)
            for name in files.keys() - missing.keys():
                with suppress(FileExistsError):  # an earlier try, or another file with the same content
                    os.link(self.blobs / files[name].name, staging / PINNED / files[name].name)
        return missing

    def _missing(self, files: Mapping[str, BlobRef]) -> dict[str, BlobRef]:
        """The `files` whose blobs are not in the store, or differ there."""
        return {name: blob for name, blob in files.items() if not blob.is_in(self.blobs / (blob.name or "-"))}

    def _shortage(self, needed: int) -> str:
        free = shutil.disk_usage(self.root).free
        bound = f", and models may take {self.max_bytes} here" if self.max_bytes is not None else ""
        return (
            f"not enough free disk space: the model needs {needed + self.reserved_bytes} bytes, {free} are free{bound}"
        )

    def _fits(self, needed: int) -> bool:
        if needed + self.reserved_bytes > shutil.disk_usage(self.root).free:
            return False
        return self.max_bytes is None or self.size() + self._incoming_bytes() + needed <= self.max_bytes

    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.stat().st_size for blob in _files(self.blobs))

    def _incoming_bytes(self) -> int:
        """Bytes that downloads under way will add."""
        return sum(int(note.read_text() or 0) for note in (self.root / "staging").glob("*/*.bytes"))

    def _evict_one(self) -> bool:
        """Remove what a killed process left, else the least recently used snapshot without a user; False if none."""
        for note in (self.root / "staging").glob("*/*.bytes"):
            lock = self.root / "snapshots" / note.parent.name / f"{note.stem}.lock"
            with suppress(BlockingIOError), _lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(note.with_suffix(""), ignore_errors=True)
                note.unlink()
                self._sweep()
                return True
        for snapshot in [*self._partial_snapshots(), *self._snapshots_by_last_use()]:
            with suppress(BlockingIOError), _lock(snapshot.with_suffix(".lock"), fcntl.LOCK_EX | fcntl.LOCK_NB):
                snapshot.with_suffix(".complete").unlink(missing_ok=True)
                if snapshot.is_dir():
                    shutil.rmtree(snapshot)
                self._sweep()
                return True
        return False

    def _partial_snapshots(self) -> Iterator[Path]:
        """Snapshots that are not complete: a process was killed while it linked or evicted them, or it still does."""
        for snapshot in (self.root / "snapshots").glob("*/*"):
            if snapshot.is_dir() and not snapshot.with_suffix(".complete").exists():
                yield snapshot

    def _snapshots_by_last_use(self) -> list[Path]:
        """The complete snapshots, least recently used first."""
        last_use: dict[Path, float] = {}
        for mark in (self.root / "snapshots").glob("*/*.complete"):
            with suppress(FileNotFoundError):  # another process fills it anew
                last_use[mark.with_suffix("")] = mark.stat().st_mtime
        return sorted(last_use, key=last_use.__getitem__)

    def _sweep(self) -> None:
        """Remove blobs that neither a snapshot nor a download links to."""
        for blob in _files(self.blobs):
            if blob.stat().st_nlink == 1:
                blob.unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with _lock(self.root / "lock", fcntl.LOCK_EX):
            yield


def _lock(file: Path, operation: int) -> IO[bytes]:
    """Open and lock the file; raises BlockingIOError if `operation` says not to wait.

    Polls, so that a waiting thread ends with its process.
    """
    opened = file.open("ab")
    while True:
        try:
            fcntl.flock(opened, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if operation & fcntl.LOCK_NB:
                opened.close()
                raise
            time.sleep(POLL_SECONDS)
        else:
            return opened


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold an exclusive lock on `file` inside the block."""
    with _lock(file, fcntl.LOCK_EX):
        yield


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _bytes_note(staging: Path) -> Path:
    """The file that holds the number of bytes of the download into `staging`."""
    return staging.with_name(f"{staging.name}.bytes")


def _bytes(files: Mapping[str, BlobRef]) -> int:
    return sum(blob.size for blob in files.values())


def _holds(folder: Path, files: Mapping[str, BlobRef]) -> bool:
    """Whether every one of `files` is in `folder` as the Hub has it."""
    return all(blob.is_in(folder / name) for name, blob in files.items())


def sync_to_disk(path: Path) -> None:
    """Return once a file, or the names in a folder, would survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
