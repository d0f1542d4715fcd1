"""A board without a server: its bot is a Job on the Hub, started by webhooks, with an empty Redis each time."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import CommitOperationAdd, HfApi

from bot.processes.job_turns import SYNC_LABEL
from localhub.jobs.runner import JobSettings
from localhub.testing import LocalHub
from steward.testing.waiting import wait_until
from steward.valkey import free_port

BOT_IMAGE, WORKER_IMAGE = "steward", "steward-worker"
FLAVOR = "cpu-basic"
LIVE = ("SCHEDULING", "RUNNING")


def image(folder: Path, settings: Mapping[str, str]) -> str:
    """Make an image: a folder with a program `steward` that runs this checkout with `settings`; return its path."""
    folder.mkdir()
    exports = "\n".join(f"export {name}={value}" for name, value in settings.items())
    program = folder / "steward"
    program.write_text(f'#!/bin/bash\n{exports}\ncd {Path.cwd()}\nexec {sys.executable} -m steward.cli "$@"\n')
    program.chmod(0o755)
    return str(folder)


@dataclass
class SleepingBoard:
    """The board `name` of `folder`/board.yaml, whose Jobs run in `namespace`; `token` is the bot's and its owner's."""

    hub: LocalHub
    folder: Path
    name: str
    namespace: str
    token: str

    def __post_init__(self) -> None:
        self.api = HfApi(self.hub.url, self.token)

    def install(self, settings: Mapping[str, str], images: Mapping[str, Sequence[str]], parallel: int = 8) -> None:
        """Allow Jobs with the bot's image, and `images`."""
        own = {
            "HF_ENDPOINT": self.hub.url,
            "STEWARD_BOARD": str(self.folder / "board.yaml"),
            "STEWARD_PORT": str(free_port()),
            "STEWARD_LOG_LEVEL": "info",
            "OMP_NUM_THREADS": "1",
            **settings,
        }
        own["STEWARD_PUBLIC_URL"] = f"http://127.0.0.1:{own['STEWARD_PORT']}"
        bot = image(self.folder / "bot-image", own)
        self.hub.state.jobs.configure(JobSettings(images={BOT_IMAGE: [bot], **images}, parallel=parallel))

    def wake(self, **options: Any) -> str:
        """Start a Job that syncs; its id. Webhooks start it again."""
        command = ["steward", "sync", "--until-idle", "--namespace", self.namespace]
        job = self.api.run_job(
            image=BOT_IMAGE,
            command=command,
            namespace=self.namespace,
            flavor=FLAVOR,
            labels={SYNC_LABEL: self.name},
            secrets={"STEWARD_BOT_TOKEN": self.token, **options.pop("secrets", {})},
            timeout="1h",
            **options,
        )
        return str(job.id)

    def watch(self, source: str, repos: Sequence[tuple[str, str]], secrets: Mapping[str, str] | None = None) -> str:
        """Create a webhook that starts the Job `source` again when something happens in `repos`; its id."""
        watched: list[dict[str, str] | Any] = [{"type": kind, "name": name} for kind, name in repos]
        own = {"STEWARD_BOT_TOKEN": self.token, **(secrets or {})}
        return str(self.api.create_webhook(job_id=source, watched=watched, secrets=own).id)

    def jobs(self) -> list[Any]:
        """The bot's Jobs, oldest first."""
        listed = list(self.api.list_jobs(namespace=self.namespace, labels={SYNC_LABEL: self.name}))
        return sorted(listed, key=lambda job: (job.created_at, job.id))

    def sleeps(self, seconds: float, at_least: int = 1) -> list[Any]:
        """Wait until at least this many Jobs of the bot have run and none is running; return all its Jobs."""

        def asleep() -> bool:
            jobs = self.jobs()
            is_over = len(jobs) >= at_least and all(job.status.stage not in LIVE for job in jobs)
            return is_over and self.hub.state.webhooks.drain(1.0) and len(self.jobs()) == len(jobs)

        wait_until(asleep, seconds=seconds, interval=0.25, describe=self.words)
        jobs = self.jobs()
        assert [job.status.stage for job in jobs] == ["COMPLETED"] * len(jobs), self.words()
        wait_until(lambda: not self.processes(), seconds=20, describe=self.processes)
        return jobs

    def log(self, job: str) -> list[str]:
        """Return the output of a Job."""
        return self.hub.state.jobs.printed(job)

    def words(self) -> str:
        """Return the stage of each Job and the end of its output."""
        return "\n".join(f"{job.id} {job.status}\n" + "\n".join(self.log(job.id)[-12:]) for job in self.jobs())

    def processes(self) -> list[str]:
        """Return the command lines of the bot's processes, found by the board's file in their environment."""
        marked = []
        for process in Path("/proc").iterdir():
            with suppress(OSError):
                if str(self.folder / "board.yaml").encode() in (process / "environ").read_bytes():
                    marked.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return marked

    def submit(self, repo: str, files: Mapping[str, Mapping[str, Any]]) -> None:
        """Commit request files to `repo` at once."""
        added = [CommitOperationAdd(path, json.dumps(fields).encode()) for path, fields in files.items()]
        self.api.create_commit(repo, added, commit_message="Submit", repo_type="dataset")

    def commits(self, repos: Sequence[str]) -> dict[str, int]:
        """The number of commits in each of these datasets."""
        return {repo: len(self.api.list_repo_commits(repo, repo_type="dataset")) for repo in repos}

    def files(self, repo: str, paths: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The request files at `paths`, from a clone."""
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            address = f"{self.hub.url}/datasets/{repo}"
            subprocess.run(["git", "clone", "--quiet", "--depth=1", address, folder], check=True)
            for path in paths:
                yield json.loads((Path(folder) / path).read_text("utf-8"))
