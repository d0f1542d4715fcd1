"""The models on this machine's disk: each file once, whatever commits and repos hold it, within a bound.

    blobs/{sha256 | git blob id}              what files contain
    snapshots/{org--name}/{commit}/…          one model at one commit: hard links to blobs, and nothing else
    snapshots/{org--name}/{commit}.complete   it is all there; touched whenever it is used
    snapshots/{org--name}/{commit}.lock       held shared by those who use it, alone by whoever fills or evicts it
    staging/{org--name}/{commit}/…            a download under way, with links to what of it was here already, and how
                                              many bytes it will take
    lock                                      held for a moment by whoever links or evicts

A commit that changes a README costs no byte of weights: it names the same blobs. Where the bound, or the disk, would
be exceeded, the snapshots go that were not used for longest; never one that somebody holds. Several workers and their
prefetching processes share a store; all locks are the kernel's, and end with the process that holds them.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workers.errors import DiskFull, DownloadError

POLL = 0.1
CHUNK = 1 << 20
PINNED = ".kept"
"""The folder of a download with links to what of it was here already."""


class BlobDiffers(DownloadError):
    """What was downloaded is not what the Hub says it is; it is thrown away."""


@dataclass(frozen=True)
class BlobRef:
    """What a file of a commit contains: `sha256` where the Hub knows it, else the id that git gives it."""

    size: int
    sha256: str = ""
    oid: str = ""

    @property
    def name(self) -> str:
        """Its name in the store; empty where nothing identifies it."""
        return self.sha256 or (f"git-{self.oid}" if self.oid else "")


@dataclass(frozen=True)
class PinnedSnapshot:
    """A snapshot that nobody evicts until this is released, or this process ends."""

    folder: Path
    lock: IO[bytes]

    def release(self) -> None:
        """Let it go."""
        self.lock.close()


Download = Callable[[Path, list[str]], None]
"""Puts the named files of the commit into a folder."""


class ModelStore:
    """The store in the folder `root`; `most` bytes at most (None: no bound but the disk's), `spare` bytes left free."""

    def __init__(self, root: Path, *, most: int | None = None, spare: int = 0) -> None:
        self.root = root
        self.most = most
        self.spare = spare
        self.blobs = root / "blobs"

    def hold(self, model: str, revision: str, files: Mapping[str, BlobRef], download: Download) -> PinnedSnapshot:
        """The snapshot, downloaded as far as it is not here yet. Waits for whoever downloads it already.

        Raises DiskFull, BlobDiffers, and what `download` raises.
        """
        folder = self.root / "snapshots" / model.replace("/", "--") / revision
        folder.parent.mkdir(parents=True, exist_ok=True)
        complete = folder.with_name(f"{revision}.complete")
        while True:
            lock = _lock(folder.with_name(f"{revision}.lock"), fcntl.LOCK_SH)
            if complete.exists():
                os.utime(complete)
                return PinnedSnapshot(folder, lock)
            lock.close()
            with _lock(folder.with_name(f"{revision}.lock"), fcntl.LOCK_EX):
                if not complete.exists():
                    self._fill(folder, files, download)
                    complete.touch()

    def _fill(self, folder: Path, files: Mapping[str, BlobRef], download: Download) -> None:
        staging = self.root / "staging" / folder.parent.name / folder.name
        staging.mkdir(parents=True, exist_ok=True)
        missing = self._make_room(files, staging)
        if missing:
            download(staging, list(missing))
        for name, blob in missing.items():
            _check(staging / name, blob)
        with self._moment():
            self._link(folder, staging, files)
            shutil.rmtree(staging)
            _note(staging).unlink()

    def _link(self, folder: Path, staging: Path, files: Mapping[str, BlobRef]) -> None:
        shutil.rmtree(folder, ignore_errors=True)  # what a fill that was killed left behind
        for name, blob in files.items():
            here, stored = folder / name, self.blobs / (blob.name or f"nameless-{time.monotonic_ns()}")
            if not here.resolve().is_relative_to(folder.resolve()):
                raise DownloadError(f"the repo holds a file of the name {name[:80]!r}")
            here.parent.mkdir(parents=True, exist_ok=True)
            if not stored.exists():
                (staging / name).rename(stored)
            os.link(stored, here)

    # --- the bound

    def _make_room(self, files: Mapping[str, BlobRef], staging: Path) -> dict[str, BlobRef]:
        """Evict until what is missing of `files` may come, and note how much it is; what that is. Raises DiskFull.

        With a snapshot may go what it shares with `files`: then that is missing too. What is here in the end is kept,
        for others that have it may be evicted while the rest is fetched.
        """
        with self._moment():
            self.blobs.mkdir(parents=True, exist_ok=True)
            _note(staging).write_text("0")  # counted anew; where there is no room, others may take away what is here
            missing = self._missing(files)
            while not self._fits(_bytes(missing)):
                if not self._evict_one():
                    raise DiskFull(self._shortage(_bytes(missing)))
                missing = self._missing(files)
            _note(staging).write_text(str(_bytes(missing)))
            (staging / PINNED).mkdir(exist_ok=True)
            for name in files.keys() - missing.keys():
                with suppress(FileExistsError):  # of an earlier try, or another file of the same content
                    os.link(self.blobs / files[name].name, staging / PINNED / files[name].name)
        return missing

    def _missing(self, files: Mapping[str, BlobRef]) -> dict[str, BlobRef]:
        """Those of `files` whose content is not here."""
        return {name: blob for name, blob in files.items() if not (self.blobs / (blob.name or "-")).exists()}

    def _shortage(self, needed: int) -> str:
        free = shutil.disk_usage(self.root).free
        bound = f", and models may take {self.most} here" if self.most is not None else ""
        return f"not enough free disk space: the model needs {needed + self.spare} bytes, {free} are free{bound}"

    def _fits(self, needed: int) -> bool:
        if needed + self.spare > shutil.disk_usage(self.root).free:
            return False
        return self.most is None or self.size() + self._coming() + needed <= self.most

    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(blob.stat().st_size for blob in _files(self.blobs))

    def _coming(self) -> int:
        """Bytes that downloads under way will still bring."""
        found = 0
        for note in (self.root / "staging").glob("*/*.bytes"):
            found += int(note.read_text() or 0)
        return found

    def _evict_one(self) -> bool:
        """Remove what nobody holds: a download that was given up, else the snapshot that was not used for longest.

        False where there is neither.
        """
        for note in (self.root / "staging").glob("*/*.bytes"):
            lock = self.root / "snapshots" / note.parent.name / f"{note.stem}.lock"
            with suppress(BlockingIOError), _lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
                shutil.rmtree(note.with_suffix(""), ignore_errors=True)
                note.unlink()
                self._sweep()
                return True
        used = sorted((self.root / "snapshots").glob("*/*.complete"), key=lambda mark: mark.stat().st_mtime)
        for mark in used:
            with suppress(BlockingIOError), _lock(mark.with_suffix(".lock"), fcntl.LOCK_EX | fcntl.LOCK_NB):
                mark.unlink()
                shutil.rmtree(mark.with_suffix(""))
                self._sweep()
                return True
        return False

    def _sweep(self) -> None:
        """Remove blobs that neither a snapshot nor a download links to."""
        for blob in _files(self.blobs):
            if blob.stat().st_nlink == 1:
                blob.unlink()

    @contextmanager
    def _moment(self) -> Iterator[None]:
        self.root.mkdir(parents=True, exist_ok=True)
        with _lock(self.root / "lock", fcntl.LOCK_EX):
            yield


def _lock(file: Path, how: int) -> IO[bytes]:
    """The open file, locked; raises BlockingIOError where `how` says not to wait.

    Waiting is done in slices, so that a thread that waits ends with its process.
    """
    opened = file.open("ab")
    while True:
        try:
            fcntl.flock(opened, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if how & fcntl.LOCK_NB:
                opened.close()
                raise
            time.sleep(POLL)
        else:
            return opened


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Alone in the block, among all that lock `file`."""
    with _lock(file, fcntl.LOCK_EX):
        yield


def _files(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _note(staging: Path) -> Path:
    """Where it is noted how many bytes the download into `staging` will take."""
    return staging.with_name(f"{staging.name}.bytes")


def _bytes(files: Mapping[str, BlobRef]) -> int:
    return sum(blob.size for blob in files.values())


def _check(file: Path, blob: BlobRef) -> None:
    """Raises BlobDiffers where `file` is not there, or not what the Hub says it is."""
    if not file.is_file():
        raise BlobDiffers(f"incomplete read: {file.name[:80]} did not arrive")
    if not blob.sha256:
        return
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            digest.update(chunk)
    if digest.hexdigest() != blob.sha256:
        file.unlink()
        raise BlobDiffers(f"checksum mismatch: {file.name[:80]} arrived with other bytes than the Hub has")
