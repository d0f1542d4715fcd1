"""A complete worker in its own process, whose gateway uses folders instead of a Hub.

    python offline_worker_script.py {folder} {seconds of a download} {seconds of a publication} [attempt]

With an attempt it is the worker of that attempt alone, as `steward work --once`.

The gateway logs each call to `{folder}/hub.log`, one per line.
"""

from __future__ import annotations

import functools
import logging
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from leaderboard.attempts import Details
from redis_state.jobs import EvaluationJob
from workers.common import kernel
from workers.errors import DatasetUnavailable
from workers.jobs import once
from workers.jobs.provisions import Provisions
from workers.jobs.worker import main
from workers.models.downloads import SuiteQuestions
from workers.publication.spool import Publication
from workers.settings import WorkerSettings


@dataclass(frozen=True)
class FolderGateway:
    """A HubGateway that uses folders instead of repos."""

    folder: Path
    download: float
    publication: float

    def note(self, call: str) -> None:
        with (self.folder / "hub.log").open("a") as log:
            log.write(call + "\n")

    def fetch(self, job: EvaluationJob) -> Provisions:
        self.note(f"fetch {job.attempt}")
        if self.download:  # in a subprocess, as questions are fetched
            die = functools.partial(kernel.die_with_parent, os.getpid())
            subprocess.run(["sleep", str(self.download)], check=True, preexec_fn=die)
        if job.model == "trial/questionless":
            raise DatasetUnavailable("org/questions does not hold the questions that the suite pins")
        self.note(f"fetched {job.attempt}")
        model = self.folder / "model"
        model.mkdir(exist_ok=True)
        return Provisions(model, SuiteQuestions(model, {"org/questions": "b" * 40}))

    def publish(self, publication: Publication) -> Details:
        self.note(f"publish {publication.plan.attempt}")
        time.sleep(self.publication)
        results = publication.plan.spool / "results.json"
        (self.folder / "published.json").write_text(results.read_text())
        (self.folder / "published.log").write_text(publication.log)
        self.note(f"published {publication.plan.attempt}")
        return Details(repo=publication.repo, commit="c" * 40, results_path="results.json")

    def answer_branches(self, repo: str, name: object, *, is_private: bool, is_gated: bool) -> None:
        """Return None, because there is no Hub."""


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(process)d %(name)s %(message)s")
    folder, download, publication, *attempt = sys.argv[1:]
    gateway = FolderGateway(Path(folder), float(download), float(publication))
    if attempt:
        sys.exit(once.main(WorkerSettings(), attempt[0], hub_gateway=gateway))
    sys.exit(main(WorkerSettings(), hub_gateway=gateway))
