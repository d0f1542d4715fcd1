"""A slot: one place on this machine where one attempt at a time runs, with folders and a user of its own.

{work_dir}/slots/{n}/lock        held by the worker that has the slot
{work_dir}/slots/{n}/home        home and temporary files of the child; emptied before every attempt
{work_dir}/slots/{n}/root        where the child's own root is built; always empty from outside
{work_dir}/slots/{n}/attempt     of the running attempt: pipes, task files, spool, and its outcome until it is told
"""

from __future__ import annotations

import fcntl
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workers.errors import WorkerError

MAX_SLOTS = 64


class NoFreeSlot(WorkerError):
    """Every slot of the work folder is taken."""


@dataclass(frozen=True)
class Slot:
    """Folders of slot `number`; `uid` is the user of its children where they have one of their own."""

    number: int
    folder: Path
    uid: int
    lock: IO[bytes]

    @property
    def home(self) -> Path:
        """Home of the child."""
        return self.folder / "home"

    @property
    def root(self) -> Path:
        """Mount point of the child's root."""
        return self.folder / "root"

    @property
    def attempt(self) -> Path:
        """Folder of the running attempt."""
        return self.folder / "attempt"

    @property
    def spool(self) -> Path:
        """Where the child leaves what it found."""
        return self.attempt / "spool"

    def prepare(self, *, own_user: bool | None = None) -> None:
        """Empty folders for the next attempt; home and spool belong to the slot's user if children have that.

        None: not known yet, as before the canary, which tries as either; nothing but that may run then.
        """
        self.clear()
        self.root.mkdir(exist_ok=True)
        self.attempt.mkdir()
        for folder in (self.home, self.home / "tmp", self.spool):
            folder.mkdir(mode=0o700)
            if own_user is None:
                folder.chmod(0o777)
            elif own_user:
                os.chown(folder, self.uid, self.uid)

    def clear(self) -> None:
        """Remove what the last attempt left."""
        for folder in (self.home, self.attempt):
            if folder.exists():
                remove(folder)


def remove(folder: Path) -> None:
    """Remove `folder` and all below it, whatever a child that is gone made of it.

    Folders that are locked, or lie deeper than paths may be long and functions may call each other, would stop the
    library's own way, and with it every later attempt: here each is opened, and moved to the top before it is emptied.
    """
    left = [folder]
    while left:
        place = left.pop()
        place.chmod(0o700)
        with os.scandir(place) as found:
            entries = list(found)
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                Path(entry).unlink()
                continue
            Path(entry).chmod(0o700)  # what is locked cannot be moved
            left.append(Path(entry).rename(folder / uuid.uuid4().hex))
        if place != folder:
            place.rmdir()
    folder.rmdir()


def take_slot(work_dir: Path, *, first_uid: int) -> Slot:
    """The first slot that no other worker of `work_dir` holds; it is free again when this process ends.

    Raises NoSlot.
    """
    for number in range(MAX_SLOTS):
        folder = work_dir / "slots" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        return Slot(number, folder, first_uid + number, lock)
    raise NoFreeSlot(
        f"all {MAX_SLOTS} slots in {work_dir / 'slots'} are taken: give this worker a STEWARD_WORK_DIR of its own"
    )
