"""Compares workers with a queue of tiny models with as many `lm_eval` commands, one after another.

    python -m benchmarks.throughput [--models 20] [--workers 2] [--batch-size 16] [--json]

Both read from the same localhub, each with an empty cache; every model is evaluated with the starter suite, and all
details are published. Claims are confirmed at once, as by an idle bot. `ratio` is the time of all commands divided by
the time of all attempts. `idle_fraction` is the share of the time between the first child's start and the last child's
end in which no child ran, so the device was idle. With two workers, which take turns on the device, one publishes and
downloads while the other computes. `resident_mib` is the memory of one worker and its zygote together.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from benchmarks.sampler import sampling

SMALL = "small"
BOARD = "throughput"
PATIENCE = 1800.0
LOOK = 0.005


class Device:
    """Samples of whether any child of these workers ran."""

    def __init__(self, workers: list[int]) -> None:
        self.zygotes = [zygote for worker in workers for zygote in zygotes_of(worker)]
        self.looks: list[tuple[float, bool]] = []

    def look(self) -> None:
        """Take a sample."""
        self.looks.append((time.monotonic(), any(map(children, self.zygotes))))

    def _shares(self) -> tuple[float, float]:
        """Return seconds with and without a child, from the first child's start to the last child's end."""
        there = [time for time, busy in self.looks if busy]
        busy = idle = 0.0
        for (before, was), (now, _) in pairwise(self.looks):
            if there[0] <= before < there[-1]:
                busy, idle = (busy + now - before, idle) if was else (busy, idle + now - before)
        return busy, idle

    @property
    def busy_seconds(self) -> float:
        """Seconds in which a child ran."""
        return self._shares()[0]

    @property
    def idle_fraction(self) -> float:
        """The share of the time in which the device was idle."""
        busy, idle = self._shares()
        return idle / (busy + idle)


def children(pid: int) -> list[int]:
    """Return the process ids of the children of `pid`."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def zygotes_of(worker: int) -> list[int]:
    """Return the process ids of the worker's zygote."""
    return [pid for pid in children(worker) if b"workers.sandbox.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="steward-bench-") as folder:
        figures = measure(Path(folder), options.models, options.workers, options.batch_size)
    print(f"{options.models} models, {options.workers} workers")
    print("targets: ratio 4 or more, idle_fraction under 0.1, resident_mib under 700")
    for name, value in figures.items():
        print(f"{name:>18}  {value}")
    if options.json:
        print(json.dumps(figures))
    return 0


def measure(folder: Path, count: int, workers: int, batch_size: int) -> dict[str, Any]:
    """Return all figures."""
    from localhub.testing import HubWorld, LocalHub
    from steward.valkey import Valkey

    world = HubWorld().user("worker").user("ada")
    world.org("bench-details", {"worker": "admin"}).org("steward-suites", {"ada": "admin"})
    with LocalHub(folder / "hub", world) as hub, Valkey(folder / "valkey") as valkey:
        models = upload(hub.url, count)
        with started(folder, hub.url, valkey.url, workers, batch_size) as processes:
            device = Device([process.pid for process in processes])
            with sampling(device.look, every=LOOK):
                ours = by_steward(valkey.url, models, processes)
            resident = max(resident_mib(process.pid) for process in processes)
        theirs = by_commands(folder, hub.url, models, batch_size)
    return {
        "ratio": round(theirs / ours, 2),
        "idle_fraction": round(device.idle_fraction, 3),
        "steward_seconds": round(ours, 1),
        "command_seconds": round(theirs, 1),
        "seconds_per_attempt": round(ours / count, 2),
        "child_seconds": round(device.busy_seconds / count, 2),
        "resident_mib": resident,
    }


def upload(url: str, count: int) -> dict[str, str]:
    """Upload the questions, and models with different weights; return the commit of each model."""
    from huggingface_hub import CommitOperationAdd, HfApi

    from leaderboard.suites import find_suite
    from workers.models.tiny_model import VOCABULARY, WIDTH, floats, model, safetensors, tensors
    from workers.starter import dataset_files

    api = HfApi(url, "hf_ada")
    questions = find_suite("starter").datasets[0].repo
    api.create_repo(questions, repo_type="dataset")
    files = [CommitOperationAdd(name, data) for name, data in dataset_files().items()]
    api.create_commit(questions, files, commit_message="Upload", repo_type="dataset")
    commits = {}
    for number in range(count):
        name, weights = f"ada/tiny-{number}", tensors()
        weights["lm_head.weight"] = ("F32", (VOCABULARY, WIDTH), floats(VOCABULARY * WIDTH, 1000 + number))
        contents = {**model(), "model.safetensors": safetensors(weights)}
        api.create_repo(name)
        added = [CommitOperationAdd(file, data) for file, data in contents.items()]
        commits[name] = str(api.create_commit(name, added, commit_message="Upload").oid)
    return commits


@contextmanager
def started(
    folder: Path, hub: str, queue: str, workers: int, batch_size: int
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start workers and wait until they are ready; they share a work folder, and so a store and the device."""
    from redis_state.clock import now
    from redis_state.heartbeats import WorkerRegistry
    from redis_state.keys import Keys
    from redis_state.redis import connect

    repos = {name: f"bench/{name}" for name in ("requests", "results", "logs", "community")}
    board = {"name": BOARD, "title": "Throughput", "suite": "starter"}
    board_file = folder / "board.yaml"
    board_file.write_text(yaml.safe_dump({**board, "repos": {**repos, "details_namespace": "bench-details"}}))
    settings = {
        "STEWARD_BOARD": str(board_file),
        "STEWARD_WORK_DIR": str(folder / "work"),
        "STEWARD_WORKER_TOKEN": "hf_worker",
        "STEWARD_TIERS": SMALL,
        "STEWARD_BATCH_SIZE": str(batch_size),
        "REDIS_URL": queue,
        "HF_ENDPOINT": hub,
    }
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(workers):
            with (folder / "worker.log").open("ab") as log:
                command = [sys.executable, "-m", "steward.cli", "work"]
                processes.append(subprocess.Popen(command, env={**os.environ, **settings}, stdout=log, stderr=log))
        announced = WorkerRegistry(connect(queue), Keys(BOARD))
        deadline = time.monotonic() + PATIENCE
        while len(announced.alive(now=now())) < workers:
            if time.monotonic() > deadline or any(process.poll() is not None for process in processes):
                raise RuntimeError((folder / "worker.log").read_text()[-2000:])
            time.sleep(0.1)
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=60)


def by_steward(queue: str, models: dict[str, str], processes: list[subprocess.Popen[bytes]]) -> float:
    """Return the seconds from queueing the first attempt to publishing the last details."""
    from leaderboard.attempts import attempt_id
    from leaderboard.suites import find_suite
    from redis_state.attempts import Attempts
    from redis_state.jobs import EvaluationJob, enqueue
    from redis_state.keys import Keys
    from redis_state.redis import connect

    suite, keys = find_suite("starter"), Keys(BOARD)
    attempts, granted = Attempts(connect(queue), keys), set[str]()
    open_attempts = []
    began = time.monotonic()
    for name, revision in models.items():
        path = f"{name}_eval_request_False_float32_Original.json"
        job = EvaluationJob(
            board=BOARD, attempt=attempt_id(BOARD, path, revision, 1), path=path, model=name, revision=revision,
            precision="float32", weight_type="Original", suite=suite.name, suite_digest=suite.digest,
        )  # fmt: skip
        attempts.queued(job.attempt, path, now=time.time())
        enqueue(attempts.redis, keys.queue(SMALL), job, timeout=int(PATIENCE))
        open_attempts.append(job.attempt)
    while open_attempts:
        for attempt in list(open_attempts):
            state = attempts.read(attempt)
            if state is None:
                continue
            if state.state == "taken" and attempt not in granted:
                granted.add(attempt)
                attempts.answer_claim(attempt, granted=True)
            elif state.state == "ended":
                outcome = attempts.outcome(attempt)
                if outcome is None or not outcome[0].ok:
                    raise RuntimeError(f"{attempt}: {outcome}")
                open_attempts.remove(attempt)
        if time.monotonic() - began > PATIENCE or any(process.poll() is not None for process in processes):
            raise RuntimeError("the attempts did not end")
        time.sleep(0.02)
    return time.monotonic() - began


def by_commands(folder: Path, url: str, models: dict[str, str], batch_size: int) -> float:
    """Return the seconds of as many `lm_eval` commands, which share a cache as on one machine."""
    from huggingface_hub import HfApi

    from leaderboard.suites import find_suite
    from workers.evaluation.task_files import write_tasks

    suite = find_suite("starter")
    questions = suite.datasets[0].repo
    commit = str(HfApi(url, token=False).dataset_info(questions).sha)
    tasks = write_tasks(suite, folder / "tasks", repo=questions, revision=commit)
    surroundings = {**os.environ, "HF_ENDPOINT": url, "HF_HOME": str(folder / "home")}
    began = time.monotonic()
    for number, (name, revision) in enumerate(models.items()):
        subprocess.run(
            [
                str(Path(sys.executable).with_name("lm_eval")), "run", "--model", "hf",
                "--model_args", f"pretrained={name},revision={revision},dtype=float32",
                "--tasks", *suite.run, "--include_path", str(tasks), "--batch_size", str(batch_size),
                "--device", "cpu", "--output_path", str(folder / f"command-{number}"), "--log_samples",
            ],
            env=surroundings,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=(folder / "command.log").open("ab"),
        )  # fmt: skip
    return time.monotonic() - began


def resident_mib(worker: int) -> int:
    """Return the MiB of a worker and its zygote together."""
    lines = [
        line for pid in (worker, *zygotes_of(worker)) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    ]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) >> 10


if __name__ == "__main__":
    sys.exit(main())
