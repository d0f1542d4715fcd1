"""A whole board whose attempts run on backends: a Hub, a bot with its web server, and requests of all kinds.

It records how each request ended, so that two backends can be compared.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import CommitOperationAdd, HfApi

from bot.backends.hub_jobs import JobsPlatform
from bot.backends.slurm import SlurmPlatform
from bot.core.attempt_tokens import AttemptTokens
from bot.core.context import BoardContext
from bot.core.platforms import Platform, Platforms
from bot.core.settings import BotSettings
from bot.probe import Probe
from bot.processes.schedule import Schedule
from bot.processes.sync_loop import SyncLoop
from hub.client import Hub
from leaderboard.backend_settings import JobsBackend, SlurmBackend
from leaderboard.backends import BackendRun
from leaderboard.boards import parse_board
from leaderboard.tiers import TIERS, Tier
from localhub.jobs.runner import JobSettings
from redis_state import clock
from steward.testing.running import client_of
from steward.testing.waiting import wait_until
from tests.support.models.broken_models import BROKEN
from tests.support.workers.real_worker import RealWorker, running_worker, upload_questions
from tests.support.workers.worker_process import BOARD
from workers.models.tiny_model import model

SECRET = "the webhooks' secret"
BOT = "hf_ada"
REQUESTS = "trial/requests"
POLICY = """
effects: on
threads: never
admission: {off: [model-card, licence, category, base-declared, tokenizer-loads, chat-template, causal, size, duplicate,
  copy, layers, headers, vocabulary, special-tokens, quota-submitter, quota-organisation]}
"""
DYING = ("nan-weights", "template-raises", "missing-layers", "generation-object")
"""Models whose evaluation fails, each with another cause."""
ENDED = ("FINISHED", "FAILED")


@dataclass(frozen=True)
class RequestEnd:
    """How a request ended: its status, its cause, and its scores."""

    status: str
    cause: str
    scores: str


@dataclass
class BackendBoard:
    """A running board. `connected` is the address of its web server."""

    stand: RealWorker
    context: BoardContext
    connected: str

    def submit(self, count: int) -> list[str]:
        """Submit `count` requests: working models (one private), failing ones, pickled weights; return the paths."""
        broken = {each.name: each for each in BROKEN}
        names: list[tuple[str, str]] = []
        for name in (*DYING, "pickles-only"):
            self.stand.upload(f"ada/{name}", broken[name].files())
            names.append((f"ada/{name}", "float32"))
        names += self._upload_good(max(2, count - len(names)), first_is_private=True)
        return self._commit(names[:count])

    def submit_good(self, count: int) -> list[str]:
        """Submit `count` requests of public models that work; return their paths."""
        return self._commit(self._upload_good(count, first_is_private=False))

    def _upload_good(self, count: int, *, first_is_private: bool) -> list[tuple[str, str]]:
        """Upload models, and return `count` of them with their precisions."""
        names = []
        for number in range(count):
            repo = f"trial/good-{number // 2}"
            if number % 2 == 0:
                private = first_is_private and number == 0
                HfApi(self.stand.hub.url, BOT).create_repo(repo, private=private, exist_ok=True)
                self.stand.upload(repo, {**model(), "notes.txt": str(number).encode()})
            names.append((repo, ("float32", "bfloat16")[number % 2]))
        return names

    def _commit(self, names: list[tuple[str, str]]) -> list[str]:
        """Commit requests of these models, and return their paths."""
        requests = [self._request(name, precision) for name, precision in names]
        HfApi(self.stand.hub.url, BOT).create_commit(REQUESTS, requests, commit_message="Submit", repo_type="dataset")
        self.context.mark("requests")
        return [request.path_in_repo for request in requests]

    def results(self) -> list[str]:
        """The results files that the bot published."""
        files = HfApi(self.stand.hub.url, BOT).list_repo_files("trial/results", repo_type="dataset")
        return [file for file in files if "/results_" in file]

    def runs(self) -> list[BackendRun]:
        """The recorded runs of all tiers, oldest first."""
        return [run for tier in TIERS for run in self.context.backend_runs.read(tier)]

    def _request(self, name: str, precision: str) -> CommitOperationAdd:
        fields = {"model": name, "status": "PENDING", "revision": "main", "precision": precision}
        return CommitOperationAdd(f"{name}_eval_request_False_{precision}_Original.json", json.dumps(fields).encode())

    def file(self, path: str) -> dict[str, Any]:
        """A request file as it is on the Hub."""
        content: dict[str, Any] = json.loads(self.context.hub.read_file(self.context.requests, path).data)
        return content

    def ends(self, paths: list[str], seconds: float) -> dict[str, RequestEnd]:
        """Wait until all requests have ended, and return how."""
        files = {}

        def all_ended() -> bool:
            self.context.mark("requests")
            for path in paths:
                if path not in files and (file := self.file(path))["status"] in ENDED:
                    files[path] = file
            return len(files) == len(paths)

        wait_until(all_ended, seconds=seconds, interval=0.5, describe=lambda: {path: self.file(path) for path in paths})
        return {path: self._end(path, files[path]) for path in paths}

    def _end(self, path: str, file: Mapping[str, Any]) -> RequestEnd:
        block = file.get("steward", {})
        cause = (block.get("failure") or {}).get("cause", "")
        scores = self.context.scores.find([path]).get(path)
        return RequestEnd(file["status"], cause, repr(scores.raw) if scores is not None else "")


LEFT_OUT = ("REDIS_URL", "STEWARD_BOARD", "STEWARD_TIERS")
"""Settings of a worker with Redis that the worker of a backend's run does not have."""
IMAGE = "steward"


@contextmanager
def backend_stand(folder: Path) -> Iterator[RealWorker]:
    """A Hub with questions, and a queue, for one `backend_board`."""
    with running_worker(folder) as stand:
        upload_questions(stand)
        yield stand


def run_script(stand: RealWorker, prelude: str = "") -> str:
    """Return the lines of a shell script that prepare a run's worker for this Hub, after the lines of `prelude`."""
    settings = stand.settings().items()
    needed = {name: value for name, value in settings if os.environ.get(name) != value and name not in LEFT_OUT}
    exports = [f"export {name}={shlex.quote(value)}" for name, value in needed.items()]
    return "\n".join([prelude, *exports, f"cd {shlex.quote(str(Path.cwd()))}"])


@contextmanager
def jobs_platforms(
    stand: RealWorker, folder: Path, backend: JobsBackend, prelude: str = ""
) -> Iterator[dict[Tier, JobsPlatform]]:
    """Let the Hub run Jobs of the image IMAGE, whose `steward` runs `prelude` first; the platforms of all tiers."""
    image = folder / "image"
    image.mkdir()
    program = image / "steward"
    program.write_text(f'#!/bin/bash\n{run_script(stand, prelude)}\nexec {sys.executable} -m steward.cli "$@"\n')
    program.chmod(0o755)
    stand.hub.state.jobs.configure(JobSettings(images={IMAGE: [str(image)]}, parallel=2))
    with Hub(stand.hub.url, BOT) as hub:
        yield {tier: JobsPlatform(hub, backend, BOARD, tier, "hf_worker") for tier in TIERS}


def slurm_platforms(stand: RealWorker, folder: Path) -> tuple[SlurmBackend, dict[Tier, SlurmPlatform]]:
    """A backend whose batch script starts this project's worker, and its platforms of all tiers."""
    template, spool = folder / "attempt.sbatch", folder / "cluster"
    command = f'exec {sys.executable} -m steward.cli work --once "$STEWARD_ATTEMPT"'
    template.write_text(f"#!/bin/bash\n#SBATCH --ntasks=1\n{run_script(stand)}\n{command}\n")
    backend = SlurmBackend(kind="slurm", template=str(template), spool=str(spool), parallel=2)
    return backend, {tier: SlurmPlatform(backend, BOARD, tier, spool) for tier in TIERS}


@contextmanager
def backend_board(
    stand: RealWorker,
    folder: Path,
    probe: Probe,
    backends: Mapping[Tier, Any],
    platforms: Mapping[Tier, Platform],
    *,
    attempts: int = 1,
    runs: bool = True,
) -> Iterator[BackendBoard]:
    """Run the bot of the board of `stand`, with these backends; without `runs` its web server alone."""
    admin = HfApi(stand.hub.url, BOT)
    for name in ("requests", "results", "logs"):
        admin.create_repo(f"trial/{name}", repo_type="dataset", exist_ok=True)
    admin.create_repo("trial/community", repo_type="space", space_sdk="static", exist_ok=True)
    text = (stand.folder / "board.yaml").read_text() + POLICY + f"attempts: {attempts}\n"
    if backends:
        dumped = {tier: backend.model_dump(mode="json", exclude_none=True) for tier, backend in backends.items()}
        text += yaml.safe_dump({"backends": dumped})
    (stand.folder / "bot.yaml").write_text(text)
    secrets: dict[str, Any] = {"webhook_secret": SECRET}
    settings = BotSettings(redis_url=stand.valkey.url, board=stand.folder / "bot.yaml", port=0, **secrets)
    board = parse_board(text)
    with client_of(settings) as web, Hub(stand.hub.url, BOT) as hub:
        url = str(web.base_url)
        context = BoardContext(
            board, stand.suite, hub, stand.queue.connection, now=clock.now, probe=probe, mirrors=folder / "mirrors"
        )
        context.platforms = Platforms(platforms, AttemptTokens(board.name, [SECRET]), url)
        with running_bot(context) if runs else nullcontext():
            yield BackendBoard(stand, context, url)


@contextmanager
def running_bot(context: BoardContext, loops: int = 2) -> Iterator[None]:
    """Run sync loops and the timer of a bot on threads; stop them when the block ends."""
    parts = [*(SyncLoop(context) for _ in range(loops)), Schedule(context)]
    threads = [threading.Thread(target=part.run, daemon=True) for part in parts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for part in parts:
            part.stop()
        deadline = time.monotonic() + 30
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
