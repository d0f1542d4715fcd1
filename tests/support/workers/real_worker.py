"""A Hub with a small suite, one real worker (`steward work`), and its queue."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
import yaml
from huggingface_hub import CommitOperationAdd, HfApi

from leaderboard.attempts import Outcome, attempt_id
from leaderboard.boards import RESTRICTED
from leaderboard.suites import Suite, parse_suite
from localhub.testing import LocalHub
from redis_state.jobs import EvaluationJob
from steward.valkey import Valkey
from tests.support.workers.worker_process import BOARD, TIER, AttemptQueue

PATIENCE = 170.0
QUESTIONS = "ada/questions"
WORLD = {
    "users": [
        {"name": "worker", "tokens": [{"token": "hf_worker", "role": "write"}]},
        {"name": "ada", "tokens": [{"token": "hf_ada", "role": "write"}]},
    ],
    "orgs": [
        {"name": "trial-details", "members": {"worker": "admin"}},
        {"name": "trial", "members": {"ada": "admin"}},
    ],
}
SUITE: dict[str, Any] = {
    "name": "quick",
    "title": "A dozen questions",
    "version": 1,
    "run": ["quick"],
    "datasets": [{"repo": QUESTIONS, "configs": ["sums"]}],
    "benchmarks": [
        {"name": "Choose", "source": "quick_choose", "tasks": [{"name": "quick_choose", "choices": 2}],
         "metrics": ["acc_norm,none"], "shots": 1, "choices": 2},
        {"name": "Write", "source": "quick_write", "tasks": [{"name": "quick_write"}],
         "metrics": ["exact_match,answer"], "shots": 1, "generative": True},
    ],
    "definitions": [
        {"task": "quick_choose", "config": "sums", "output": "multiple_choice", "choices": ["one", "two"]},
        {"task": "quick_write", "config": "sums", "output": "generate_until", "max_tokens": 4},
    ],
}  # fmt: skip


@dataclass
class RealWorker:
    """A Hub, a worker that takes queued jobs, and the queue."""

    folder: Path
    hub: LocalHub
    valkey: Valkey
    queue: AttemptQueue
    suite: Suite
    worker: subprocess.Popen[bytes] | None = None

    def upload(self, repo: str, files: dict[str, bytes], kind: str = "model") -> str:
        """Add `files` to ada's `repo` and return the commit."""
        api = HfApi(self.hub.url, "hf_ada")
        api.create_repo(repo, repo_type=kind, exist_ok=True)
        added = [CommitOperationAdd(name, data) for name, data in files.items()]
        return str(api.create_commit(repo, added, commit_message="Upload", repo_type=kind).oid)

    def job(self, model: str, revision: str, number: int = 1, **asks: Any) -> EvaluationJob:
        """The job that the bot would queue."""
        precision, kind = asks.pop("precision", "float32"), asks.pop("weight_type", "Original")
        path = f"{model}_eval_request_False_{precision}_{kind}.json"
        return EvaluationJob(
            board=BOARD,
            attempt=attempt_id(BOARD, path, revision, number),
            path=path,
            model=model,
            revision=revision,
            precision=precision,
            weight_type=kind,
            suite=self.suite.name,
            suite_digest=self.suite.digest,
            **asks,
        )

    def end_of(self, job: EvaluationJob) -> tuple[Outcome, str]:
        """Grant the claim of the queued `job`, and wait for its end; return its outcome and log."""
        self.queue.reaches(job, "taken", seconds=PATIENCE)
        self.queue.attempts.answer_claim(job.attempt, granted=True)
        return self.queue.outcome(job, seconds=PATIENCE)

    def run(self, *jobs: EvaluationJob) -> list[Outcome]:
        """Queue all jobs, and wait for the end of each in order."""
        for job in jobs:
            self.queue.enqueue(job)
        return [self.end_of(job)[0] for job in jobs]

    def results(self, outcome: Outcome) -> dict[str, Any]:
        """The published results file."""
        assert outcome.details is not None, outcome.failure
        return json.loads(self.read(outcome, outcome.details.results_path))  # type: ignore[no-any-return]

    def read(self, outcome: Outcome, path: str, *, restricted: bool = False) -> bytes:
        """A file of the commit that published `outcome`; `restricted`: of the gated repo beside its details."""
        assert outcome.details is not None
        repo, revision = outcome.details.repo, outcome.details.commit
        if restricted:
            repo, revision = f"{repo}{RESTRICTED}", "main"
        file = HfApi(self.hub.url, "hf_worker").hf_hub_download(
            repo, path, repo_type="dataset", revision=revision, cache_dir=self.folder / "read"
        )
        return Path(file).read_bytes()

    def settings(self, **more: str) -> dict[str, str]:
        """The worker's environment."""
        return {
            **os.environ,
            "STEWARD_BOARD": str(self.folder / "board.yaml"),
            "STEWARD_WORK_DIR": str(self.folder / "work"),
            "STEWARD_WORKER_TOKEN": "hf_worker",
            "STEWARD_TIERS": TIER,
            "STEWARD_DEVICE": "cpu",
            "REDIS_URL": self.valkey.url,
            "HF_ENDPOINT": self.hub.url,
            "OMP_NUM_THREADS": "1",
            **more,
        }

    def start_worker(self, **more: str) -> None:
        """Start the worker; its output goes to `log`."""
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "steward.cli", "work"],
                env=self.settings(**more),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def stop_worker(self) -> None:
        """Stop the worker, if it runs."""
        if self.worker is not None:
            self.worker.terminate()
            try:
                self.worker.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.worker.kill()
                self.worker.wait()
            self.worker = None

    def steward(self, *words: str) -> tuple[int, Any]:
        """Exit status and JSON of a command with the worker's settings."""
        done = subprocess.run(
            [sys.executable, "-m", "steward.cli", *words, "--json"],
            env=self.settings(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.stdout, done.stderr[-2000:]
        return done.returncode, json.loads(done.stdout)

    def paste(self, line: str, folder: Path) -> None:
        """Run in a shell a command line that a page shows; its packages are installed already, so pip uses no index."""
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HF_ENDPOINT": self.hub.url,
            "HF_HOME": str(folder / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "PIP_NO_INDEX": "1",
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            ["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-2000:]

    @property
    def log(self) -> str:
        """The worker's log."""
        return (self.folder / "worker.log").read_text("utf-8", "replace")


def upload_questions(stand: RealWorker) -> None:
    """Publish a dozen questions and one example."""
    stand.upload(*question_files())


def question_files() -> tuple[str, dict[str, bytes], str]:
    """A dozen questions and one example: the repo, its files, and its type."""
    rows = [{"input": f"{a} + {b}?", "target": "two" if (a + b) % 2 else "one"} for a in range(4) for b in range(3)]
    lines = [json.dumps(row).encode() + b"\n" for row in rows]
    files = [{"split": split, "path": f"data/sums/{split}.jsonl"} for split in ("test", "fewshot")]
    head = yaml.safe_dump({"configs": [{"config_name": "sums", "data_files": files}]})
    contents = {
        "README.md": f"---\n{head}---\n".encode(),
        "data/sums/test.jsonl": b"".join(lines[1:]),
        "data/sums/fewshot.jsonl": lines[0],
    }
    return QUESTIONS, contents, "dataset"


@contextmanager
def running_worker(
    folder: Path, suite: dict[str, Any] | None = None, world: dict[str, Any] | None = None, **board: Any
) -> Iterator[RealWorker]:
    """Start a Hub and a queue, with no worker yet; stop everything when the block ends."""
    suite_fields = suite or SUITE
    (folder / "suite.yaml").write_text(yaml.safe_dump(suite_fields))
    repos = {name: f"trial/{name}" for name in ("requests", "results", "logs", "community")}
    content = {
        "name": BOARD,
        "title": "Trial",
        "suite": str(folder / "suite.yaml"),
        "repos": {**repos, "details_namespace": "trial-details"},
        **board,
    }
    (folder / "board.yaml").write_text(yaml.safe_dump(content))
    parsed_suite = parse_suite(yaml.safe_dump(suite_fields))
    with (
        LocalHub(folder / "hub", world or WORLD) as hub,
        Valkey(folder / "valkey") as valkey,
        redis.Redis.from_url(valkey.url) as connection,
    ):
        stand = RealWorker(folder, hub, valkey, AttemptQueue(connection), parsed_suite)
        try:
            yield stand
        finally:
            stand.stop_worker()
