"""The journals of interrupted evaluations on this machine, within bounds; `AnswerJournal` reads and writes them.

    journals/lock                      held briefly to open, remove or evict journals
    journals/{identity}/lock           held by the attempt that uses these journals
    journals/{identity}/{copy}         a journal, which only the worker's user may open
    journals/{identity}/answers-{copy} the same answers by request, for workers on other machines
    journals/{identity}/offered-{n}    answers by request that such a worker left
    journals/{identity}/writer         the end of the name of the branch for these answers

An identity is a digest of everything that an evaluation's answers depend on besides the requests. Journals stay when
an attempt fails, is handed back, or dies with its worker, until a later attempt of the same evaluation here ends with
results. The least recently used ones are evicted before the bounds would be exceeded, never one in use.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from workers.common.folders import folder_bytes
from workers.common.run_plan import RunPlan
from workers.errors import WorkerError
from workers.evaluation.shared_prefix.journal import HEADER_BYTES, MAX_BYTES
from workers.evaluation.shared_prefix.trust import VERSION
from workers.models.disk_store import locked

log = logging.getLogger(__name__)

MAX_JOURNALS = 16
"""Evaluations whose journals are stored at most."""
MAX_AGE_SECONDS = 7 * 86_400
"""Seconds after the last use of journals, after which the next attempt removes them."""
MIN_BYTES = 1 << 20
"""A journal of fewer bytes is not worth its file."""
LOCK = "lock"
BRANCHES = "branches"
"""The folder beside the journals with notes about branches (`workers.jobs.made_branches`)."""
ANSWERS_SHARE = 8
"""An evaluation's answers by request, of all copies of the model together, take this part of its bytes at most."""

PLAN_FIELDS = frozenset(
    {
        "model", "revision", "weight_type", "base_model", "base_revision", "dtype", "quantisation", "device", "spread",
        "copies", "tasks", "moved", "use_chat_template", "num_fewshot", "shots", "limit", "seed", "suite",
        "suite_digest", "threads",
    }
)  # fmt: skip
"""The fields of a plan that its answers depend on; engine and batch size are in the keys of units."""
MACHINE_FIELDS = frozenset({"device", "spread", "copies", "threads"})
"""Those of PLAN_FIELDS that depend on the machine; they change only the last digits of answers."""


def evaluation_identity(
    plan: RunPlan, *, questions: Mapping[str, str], versions: Mapping[str, str], hardware: str
) -> str:
    """The identity of `plan`'s evaluation: two of the same identity give the same answers, digit for digit.

    Commits name the contents of models and questions: the store compared every file with the Hub's checksum.
    """
    facts = {
        "plan": plan.model_dump(mode="json", include=set(PLAN_FIELDS)),
        "questions": dict(questions),
        "versions": dict(versions),
        "engine": VERSION,
        "hardware": hardware,
        "threads": {name: os.environ.get(name, "") for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")},
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def portable_identity(plan: RunPlan, *, questions: Mapping[str, str], versions: Mapping[str, str]) -> str:
    """The identity of `plan`'s evaluation on any machine: two of the same identity give nearly the same answers."""
    facts = {
        "plan": plan.model_dump(mode="json", include=set(PLAN_FIELDS - MACHINE_FIELDS)),
        "questions": dict(questions),
        "versions": {name: version for name, version in versions.items() if name != "python"},
        "engine": [plan.engine, VERSION],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class JournalsInUse(WorkerError):
    """Another attempt of the same evaluation uses its journals."""


@dataclass(frozen=True)
class HeldJournals:
    """The journals of one evaluation, one for each copy of the model, which no other attempt uses meanwhile."""

    folder: Path
    files: tuple[Path, ...]
    max_bytes: int
    """The largest size of each journal, in bytes."""
    found_bytes: int
    """Bytes that an earlier attempt left."""
    lock: IO[bytes]
    answers: tuple[Path, ...] = ()
    """The answers by request of each copy; none if there is no room for them."""
    answers_bytes: int = 0
    """The largest size of each copy's answers, in bytes."""

    @property
    def holds_answers(self) -> bool:
        """Whether an earlier attempt on this machine left answers in its journals."""
        return any(file.stat().st_size > HEADER_BYTES for file in self.files)

    @property
    def offered(self) -> tuple[Path, ...]:
        """Answers by request of other machines."""
        return tuple(sorted(self.folder.glob("offered-*")))

    def drop_offered(self) -> None:
        """Remove the answers of other machines."""
        for file in self.offered:
            file.unlink()

    def writer(self) -> str:
        """A random name for this folder, which distinguishes the branches of several machines."""
        file = self.folder / "writer"
        if not file.exists():
            file.write_text(secrets.token_hex(4))
        return file.read_text()

    def release(self) -> None:
        """Unlock the journals, so that the next attempt can use them."""
        self.lock.close()

    def remove(self) -> None:
        """Remove the journals: the evaluation has ended."""
        with locked(self.folder.parent / LOCK):
            shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()


class JournalStore:
    """The journals in the folder `root`, of `max_bytes` at most in all."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        self.root = root
        self.max_bytes = max_bytes

    def open(self, identity: str, copies: int) -> HeldJournals | None:
        """The journals of an evaluation; creates those that are missing.

        None: the bound is too small for any. Raises JournalsInUse, OSError.
        """
        total = min(MAX_BYTES, self.max_bytes)
        max_bytes = total // copies
        if max_bytes < MIN_BYTES:
            return None
        answers_bytes = min(total // ANSWERS_SHARE, (self.max_bytes - total) // 2) // copies
        names = [f"answers-{copy}" for copy in range(copies if answers_bytes >= MIN_BYTES else 0)]
        folder = self.root / identity
        with self._locked():
            folder.mkdir(mode=0o700, exist_ok=True)
            lock = _try_lock(folder)
            if lock is None:
                raise JournalsInUse(identity)
            os.utime(folder / LOCK)
            files = tuple(folder / str(copy) for copy in range(copies))
            for file in files:
                _create(file, max_bytes)
            answers = tuple(folder / name for name in names)
            for file in answers:
                _create(file, answers_bytes)
            found_bytes = sum(file.stat().st_size for file in files)
            self._evict(max_bytes * copies + 2 * answers_bytes * len(answers) - folder_bytes(folder))
        return HeldJournals(folder, files, max_bytes, found_bytes, lock, answers, answers_bytes)

    def _evict(self, needed: int) -> None:
        """Remove journals that are old, too many, or in the way of `needed` more bytes; never those in use."""
        folders = [folder for folder in self.root.iterdir() if folder.is_dir() and folder.name != BRANCHES]
        folders.sort(key=_last_use)
        sizes = {folder: folder_bytes(folder) for folder in folders}
        for folder in folders:
            is_old = time.time() - _last_use(folder) > MAX_AGE_SECONDS
            if not is_old and len(sizes) <= MAX_JOURNALS and sum(sizes.values()) + needed <= self.max_bytes:
                continue
            lock = _try_lock(folder)
            if lock is not None:
                log.info("the journal of an evaluation that was not finished is removed: %s", folder.name[:12])
                shutil.rmtree(folder)
                lock.close()
                del sizes[folder]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.root / LOCK):
            yield


def _create(file: Path, max_bytes: int) -> None:
    """Create the journal if there is none; empty it if it exceeds `max_bytes`."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size > max_bytes:
            log.warning("a journal of %d bytes is not used: it may have %d", size, max_bytes)
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _last_use(folder: Path) -> float:
    """When the journals were last used; 0 if a worker was killed while it removed them."""
    try:
        return (folder / LOCK).stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _try_lock(folder: Path) -> IO[bytes] | None:
    """Lock the journals in `folder`; None if an attempt uses them."""
    file = (folder / LOCK).open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
