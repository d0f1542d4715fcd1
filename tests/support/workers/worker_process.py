"""Real workers in their own processes, the bot's side of the queue, and checks for processes left running."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
import yaml

from leaderboard.attempts import Outcome, attempt_id
from leaderboard.suites import find_suite
from redis_state.attempts import Attempts, AttemptState
from redis_state.jobs import EvaluationJob, enqueue, queue
from redis_state.keys import Keys
from steward.testing.waiting import wait_until

HERE = Path(__file__).parent
BOARD = "trial"
TIER = "small"
TOKEN = "hf_secret_of_the_worker!"
LOG_SHOWN = 8_000
"""Characters of a worker's log that a failed test shows."""
PATH = "trial/{name}_eval_request_False_float32_Original.json"


def job(name: str, number: int = 1) -> EvaluationJob:
    """The job that runs the trial `name`."""
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
class AttemptQueue:
    """The bot's side of the queue: enqueues jobs, answers claims, reads states and outcomes."""

    connection: redis.Redis
    enqueued: list[EvaluationJob] = field(default_factory=list)

    @property
    def keys(self) -> Keys:
        return Keys(BOARD)

    @property
    def attempts(self) -> Attempts:
        return Attempts(self.connection, self.keys)

    def enqueue(self, asked: EvaluationJob, *, timeout: int = 100) -> bool:
        self.enqueued.append(asked)
        self.attempts.queued(asked.attempt, asked.path, now=0)
        return enqueue(self.connection, self.keys.queue(TIER), asked, timeout=timeout)

    def state(self, asked: EvaluationJob) -> str:
        state = self.attempts.read(asked.attempt)
        return state.state if state else ""

    def reaches(self, asked: EvaluationJob, *states: str, seconds: float = 60) -> str:
        return wait_until(lambda: (now := self.state(asked)) in states and now, seconds=seconds)

    def grant(self, asked: EvaluationJob, *, granted: bool = True) -> None:
        self.reaches(asked, "taken")
        self.attempts.answer_claim(asked.attempt, granted=granted)

    def is_over(self, worker: WorkerProcess) -> bool:
        """Whether no job waits or runs. Refuses the claims that still wait, which a failed test leaves: a worker would
        wait for their answers without end, and take no job of the next test."""
        for asked in self.enqueued:
            if self.state(asked) == "taken":
                self.attempts.answer_claim(asked.attempt, granted=False)
        return not queue(self.connection, self.keys.queue(TIER)).count and not worker.pids("job")

    def running(self, asked: EvaluationJob, phase: str = "evaluate") -> AttemptState:
        """Wait until the attempt reports `phase`."""

        def in_phase() -> AttemptState | None:
            state = self.attempts.read(asked.attempt)
            return state if state and state.state == "running" and state.progress.phase == phase else None

        return wait_until(in_phase)

    def outcome(self, asked: EvaluationJob, *, seconds: float = 60) -> tuple[Outcome, str]:
        return wait_until(lambda: self.attempts.outcome(asked.attempt), seconds=seconds)

    def dirty(self, asked: EvaluationJob) -> bool:
        return self.connection.zscore(self.keys.dirty, f"request:{asked.path}") is not None

    def clean(self) -> None:
        self.connection.delete(self.keys.dirty)

    def in_rq(self, asked: EvaluationJob) -> bool:
        return queue(self.connection, self.keys.queue(TIER)).fetch_job(asked.attempt) is not None


class WorkerProcess:
    """`workers.jobs.worker.main` in its own process, with the trial harness."""

    def __init__(
        self,
        folder: Path,
        url: str,
        *,
        download: float = 0.0,
        publication: float = 0.0,
        engine: str = "harness",
        **env: str,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.known_processes: dict[int, str] = {}
        board = folder / "board.yaml"
        board.write_text(yaml.safe_dump({**_BOARD, "engine": engine}))
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

    # --- processes

    def processes(self) -> dict[int, str]:
        """The processes of this worker now, process id → kind; remembered for `left_running`."""
        processes = {self.process.pid: "worker"}
        for pid in filter(runs, children(self.process.pid)):  # a prefetch may be a zombie
            line = command_line(pid)
            if not line:
                continue  # it ended meanwhile
            processes[pid] = "zygote" if b"workers.sandbox.zygote" in line else "job"
            processes |= dict.fromkeys(descendants(pid), "child")
        self.known_processes |= processes
        return processes

    def pids(self, kind: str) -> list[int]:
        """Process ids of one kind: worker, zygote, job, child (with keeper and init)."""
        return [pid for pid, actual in self.processes().items() if actual == kind]

    def left_running(self) -> list[str]:
        """Known processes that still run. Without a process namespace, processes that a child started may remain after
        kill -9 (see `workers.sandbox.isolation`), so the sleeper does not count: it ends by itself."""
        running = [(kind, pid) for pid, kind in self.known_processes.items() if runs(pid)]
        return [f"{kind} {pid}" for kind, pid in running if self.has_namespaces or not is_sleeper(pid)]

    def busy_child(self) -> int | None:
        """The child of the trial `slow`, once it has started its sleeper. Its ancestors are a keeper and, where the
        kernel grants namespaces, an init."""
        return next((pid for pid in self.pids("child") for below in children(pid) if is_sleeper(below)), None)

    def kill(self, kind: str) -> None:
        """Kill -9 the first process of that kind; for `child`, the busy child itself, not its keeper or init."""
        pid = self.busy_child() if kind == "child" else self.pids(kind)[0]
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        if kind == "worker":
            self.process.wait()

    def nothing_left(self) -> bool:
        """Wait until nothing of this worker runs."""
        return wait_until(lambda: not self.left_running(), seconds=30, describe=self.left_running)

    def end(self) -> None:
        """Kill everything, for the teardown: no process may outlive a test."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            self.processes()
        self.process.kill()
        self.process.wait()
        self.nothing_left()

    # --- calls and log

    def hub_verbs(self) -> list[str]:
        """The verbs of its calls to the Hub."""
        return [line.split()[0] for line in self.hub_calls()]

    def hub_calls(self) -> list[str]:
        """Its calls to the Hub, each as verb and attempt; empty if there were none."""
        log = self.folder / "hub.log"
        return log.read_text().splitlines() if log.exists() else []

    @property
    def has_namespaces(self) -> bool:
        """Whether the kernel granted it mount and process namespaces; an ordinary user in a container may get none."""
        return "no mount and process namespace" not in self.log()

    def log(self) -> str:
        """The worker's log."""
        return (self.folder / "worker.log").read_text("utf-8", "replace")

    def describe(self) -> str:
        """Its exit code, if it has ended, its processes, and the end of its log."""
        status = self.process.poll()
        now = f"runs {self.processes()}" if status is None else f"exited with {status}"
        return f"worker {self.process.pid} {now}; its log ends:\n{self.log()[-LOG_SHOWN:]}"


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
    """Process ids of all descendants of `pid`, parents first."""
    direct = children(pid)
    return direct + [deeper for child in direct for deeper in descendants(child)]


def is_sleeper(pid: int) -> bool:
    """Whether `pid` is the process that the trial `slow` starts."""
    return command_line(pid).startswith(b"sleep\0")


def command_line(pid: int) -> bytes:
    """The command line of `pid`, each word followed by a zero byte; empty if the process ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):  # before the file was opened, or after
        return b""


def runs(pid: int) -> bool:
    """Whether `pid` is a running process, not a zombie."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def worker_starter(folder: Path, url: str, **defaults: str) -> Iterator[Callable[..., WorkerProcess]]:
    """Yield a function that starts workers with the settings `defaults`; end them all after the block, or fail.

    Prints the state of each worker at the end of the block.
    """
    started: list[WorkerProcess] = []

    def start(name: str = "w", **options: Any) -> WorkerProcess:
        started.append(WorkerProcess(folder / name, url, **{**defaults, **options}))
        return started[-1]

    yield start
    for worker in started:
        print(worker.describe())  # pytest shows it where the test failed
    for worker in started:
        worker.end()
