"""Real workers in processes of their own, a bot that only answers claims, and an eye on what is left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import redis
import yaml

from leaderboard.attempts import Outcome, attempt_id
from leaderboard.suites import find_suite
from redis_state.attempts import Attempts, AttemptState
from redis_state.jobs import EvaluationJob, enqueue, queue
from redis_state.keys import Keys

T = TypeVar("T")
HERE = Path(__file__).parent
BOARD = "trial"
TIER = "small"
TOKEN = "hf_secret_of_the_worker!"
PATH = "trial/{name}_eval_request_False_float32_Original.json"


def eventually(condition: Callable[[], T], *, seconds: float = 60.0) -> T:
    """Wait until `condition()` is true and return what it returned; a busy machine may take long to start a worker."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"still {found!r} after {seconds} s"
        time.sleep(0.02)
    return found


def job(name: str, number: int = 1) -> EvaluationJob:
    """An evaluation that does what the trial `name` does."""
    suite = find_suite("starter")
    path, revision = PATH.format(name=name), "a" * 40
    return EvaluationJob(
        board=BOARD,
        attempt=attempt_id(BOARD, path, revision, number),
        path=path,
        model=f"trial/{name}",
        revision=revision,
        precision="float32",
        weight_type="Original",
        suite=suite.name,
        suite_digest=suite.digest,
    )


@dataclass
class Bot:
    """The bot's side of the wire."""

    connection: redis.Redis

    @property
    def keys(self) -> Keys:
        return Keys(BOARD)

    @property
    def attempts(self) -> Attempts:
        return Attempts(self.connection, self.keys)

    def enqueue(self, asked: EvaluationJob, *, timeout: int = 100) -> bool:
        self.attempts.queued(asked.attempt, asked.path, now=0)
        return enqueue(self.connection, self.keys.queue(TIER), asked, timeout=timeout)

    def state(self, asked: EvaluationJob) -> str:
        found = self.attempts.read(asked.attempt)
        return found.state if found else ""

    def reaches(self, asked: EvaluationJob, *states: str, seconds: float = 60) -> str:
        return eventually(lambda: (now := self.state(asked)) in states and now, seconds=seconds)

    def grant(self, asked: EvaluationJob, *, granted: bool = True) -> None:
        self.reaches(asked, "taken")
        self.attempts.answer_claim(asked.attempt, granted=granted)

    def running(self, asked: EvaluationJob, phase: str = "evaluate") -> AttemptState:
        """Wait until the attempt says that it is in `phase`."""

        def there() -> AttemptState | None:
            found = self.attempts.read(asked.attempt)
            return found if found and found.state == "running" and found.progress.phase == phase else None

        return eventually(there)

    def outcome(self, asked: EvaluationJob, *, seconds: float = 60) -> tuple[Outcome, str]:
        return eventually(lambda: self.attempts.outcome(asked.attempt), seconds=seconds)

    def dirty(self, asked: EvaluationJob) -> bool:
        return self.connection.zscore(self.keys.dirty, f"request:{asked.path}") is not None

    def clean(self) -> None:
        self.connection.delete(self.keys.dirty)

    def in_rq(self, asked: EvaluationJob) -> bool:
        return queue(self.connection, self.keys.queue(TIER)).fetch_job(asked.attempt) is not None


class WorkerProcess:
    """`workers.jobs.worker.main` in a process of its own, with the trials as its harness."""

    def __init__(self, folder: Path, url: str, *, download: float = 0.0, publication: float = 0.0, **env: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.family: dict[int, str] = {}
        board = folder / "board.yaml"
        board.write_text(yaml.safe_dump(_BOARD))
        settings = {
            "STEWARD_BOARD": str(board),
            "REDIS_URL": url,
            "STEWARD_WORK_DIR": str(folder / "work"),
            "STEWARD_WORKER_TOKEN": TOKEN,
            "STEWARD_TIERS": TIER,
            "STEWARD_HARNESS": "trial_harness",
            "STEWARD_PRELOAD": "",
            "PYTHONPATH": str(HERE),
        }
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "offline_worker_script.py"), str(folder), str(download), str(publication)],
            env={**os.environ, "HF_TOKEN": TOKEN, **settings, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(folder / "worker.log").open("ab"),
            cwd=folder,
        )

    # --- who is there

    def look(self) -> dict[int, str]:
        """Every process of this worker now, by what it is; remembered for `left_running`."""
        found = {self.process.pid: "worker"}
        for pid in filter(runs, children(self.process.pid)):  # a download ahead may wait to be buried
            line = command_line(pid)
            if not line:
                continue  # it ended while we looked
            found[pid] = "zygote" if b"workers.sandbox.zygote" in line else "job"
            found |= dict.fromkeys(descendants(pid), "child")
        self.family |= found
        return found

    def pids(self, kind: str) -> list[int]:
        """Process ids of all of that kind: worker, zygote, job, child (keeper and init included)."""
        return [pid for pid, is_a in self.look().items() if is_a == kind]

    def left_running(self) -> list[str]:
        """What was seen once and still runs. Where no process namespace is to be had, what a child started may live on
        after kill -9 (see `workers.sandbox.isolation`): the sleeper ends by itself."""
        seen = [(kind, pid) for pid, kind in self.family.items() if runs(pid)]
        return [f"{kind} {pid}" for kind, pid in seen if self.has_namespaces or not is_sleeper(pid)]

    def busy_child(self) -> int | None:
        """The child of the trial `slow`, once it has started its sleeper. Above it is a keeper, and an init only where
        the kernel grants namespaces: in a container it may not."""
        return next((pid for pid in self.pids("child") for below in children(pid) if is_sleeper(below)), None)

    def kill(self, kind: str) -> None:
        """kill -9 of the first process of that kind; of a child that is busy itself, not of its keeper or init."""
        found = self.busy_child() if kind == "child" else self.pids(kind)[0]
        assert found is not None
        os.kill(found, signal.SIGKILL)
        if kind == "worker":
            self.process.wait()

    def nothing_left(self) -> bool:
        """Wait until nothing of this worker runs."""
        return eventually(lambda: not self.left_running(), seconds=10)

    def end(self) -> None:
        """For teardown: nothing may outlive a test, whatever went wrong."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            self.look()
        self.process.kill()
        self.process.wait()
        eventually(lambda: not self.left_running(), seconds=10)

    # --- what it did

    def hub(self) -> list[str]:
        """What it did at the Hub: verbs."""
        return [line.split()[0] for line in self.deeds()]

    def deeds(self) -> list[str]:
        """What it did at the Hub, a line each: verb and attempt. Empty as long as it did nothing."""
        log = self.folder / "hub.log"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def has_namespaces(self) -> bool:
        """Whether the kernel granted it what its walls are built of: to an ordinary user in a container it may not."""
        return "no mount and process namespace" not in self.words()

    def words(self) -> str:
        """Its log."""
        return (self.folder / "worker.log").read_text("utf-8", "replace")


_BOARD = {
    "name": BOARD,
    "title": "Trial",
    "suite": "starter",
    "repos": {
        "requests": "trial/requests",
        "results": "trial/results",
        "logs": "trial/logs",
        "community": "trial/board",
        "details_namespace": "trial-details",
    },
}


def children(pid: int) -> list[int]:
    """Process ids of the children of `pid`."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid: int) -> list[int]:
    """Process ids of all below `pid`, parents first."""
    below = children(pid)
    return below + [deeper for child in below for deeper in descendants(child)]


def is_sleeper(pid: int) -> bool:
    """Whether that is what the trial `slow` starts."""
    return command_line(pid).startswith(b"sleep\0")


def command_line(pid: int) -> bytes:
    """The command line of `pid`, each word with a zero byte behind it; empty where the process ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # before the file was opened, or after
        return b""


def runs(pid: int) -> bool:
    """Whether `pid` is a process that is not just waiting to be buried."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def starting(folder: Path, url: str, **usual: str) -> Iterator[Callable[..., WorkerProcess]]:
    """What starts workers, with settings that are `usual`; all of them are gone in the end, or it fails."""
    started: list[WorkerProcess] = []

    def start(name: str = "w", **options: Any) -> WorkerProcess:
        started.append(WorkerProcess(folder / name, url, **{**usual, **options}))
        return started[-1]

    yield start
    for worker in started:
        worker.end()
