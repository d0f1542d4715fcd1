"""Slots: each holds the folders and the user id for one attempt at a time on this machine.

{work_dir}/slots/{n}/lock        held by the worker that has the slot
{work_dir}/slots/{n}/home        home and temporary files of the child; emptied before every attempt
{work_dir}/slots/{n}/root        mount point of the child's own root; always empty from outside
{work_dir}/slots/{n}/attempt     pipes, task files and spool of the running attempt, and its outcome until it is sent
"""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workers.common.folders import remove_folder
from workers.errors import WorkerError

MAX_SLOTS = 64


class NoFreeSlot(WorkerError):
    """Other workers hold every slot of the work folder."""


@dataclass(frozen=True)
class Slot:
    """The folders of slot `number`; `uid` is the user of its children, if children get their own user."""

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
        """The folder that the child writes its results to."""
        return self.attempt / "spool"

    def prepare(self, *, own_user: bool | None = None) -> None:
        """Empty and create the folders for the next attempt; home and spool belong to the slot's user if `own_user`.

        None means that this is not known yet: then only the zygote's mode check, which tries both, may run a child.
        """
        self.prepare_home(own_user=own_user)
        remove_folder(self.attempt)
        self.attempt.mkdir()
        self._create(self.spool, own_user)

    def prepare_home(self, *, own_user: bool | None = None) -> None:
        """Empty and create home and root, as `prepare` does: all that the zygote's mode check needs.

        No other user can reach files of a child that runs as the worker's user, so that none can run them as that user.
        """
        remove_folder(self.home)
        self.folder.chmod(0o700 if own_user is False else 0o711)
        self.root.mkdir(exist_ok=True)
        for folder in (self.home, self.home / "tmp"):
            self._create(folder, own_user)

    def _create(self, folder: Path, own_user: bool | None) -> None:
        folder.mkdir(mode=0o700)
        if own_user is None:
            folder.chmod(0o777)
        elif own_user:
            os.chown(folder, self.uid, self.uid)

    def clear(self) -> None:
        """Remove the files of the last attempt."""
        for folder in (self.home, self.attempt):
            remove_folder(folder)


def take_slot(work_dir: Path, *, first_uid: int) -> Slot:
    """Take the first free slot of `work_dir`; it is free again when this process ends. Raises NoFreeSlot."""
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
