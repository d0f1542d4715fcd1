"""Two ways of running a board by polling, reimplemented from their known behaviour, with a real client of the Hub.

Template: the usual template for leaderboards. Every ten minutes, as long as its page is open in a browser (here
always), each copy makes one pass:

    download both repos completely
    RUNNING, and the model has any results file    → FINISHED
    RUNNING, and it has none                       → FAILED
    the oldest PENDING request                     → RUNNING, evaluated, its results uploaded

The reason of a failure stays in the log of that machine. A pass ends at an error, and the next one follows.

Cluster: the same with a job scheduler, as published by a leaderboard that grew out of the template. One pass serves all
machines, and starts one job at most:

    RUNNING, and results are dated after its start    → FINISHED
    RUNNING, and the scheduler has no such job        → FAILED
"""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError

from simulations.peers.environment import EPOCH, Activity, Environment, EvaluationTry, Machines, Timetable

EVERY = 600.0
"""Seconds between the end of one pass and the next: the template's own setting."""
_TIME = "%Y-%m-%dT%H-%M-%S.%f"


class Polling:
    """The common part of both ways: a client of the Hub, a copy of the board's repos, and the machines."""

    def __init__(self, environment: Environment, board: str, token: str, folder: Path) -> None:
        self.environment = environment
        self.name = self.board = board
        self.accounts = (board,)
        self.machines = Machines(environment.scenario)
        self.requests, self.results = f"{board}/requests", f"{board}/results"
        self.api = HfApi(environment.hub.url, token=token)
        self.table = Timetable()
        self.folder = folder
        self.open = 1
        """The number of waiting or running requests in the last pass."""

    def next_moment(self) -> float:
        """Return the time of the next event."""
        return self.table.next_moment()

    def act(self) -> None:
        """Do everything that is due."""
        self.table.continue_due(self.environment.now)

    def has_ended(self) -> bool:
        """Whether no request waits or runs."""
        return not self.open

    def close(self) -> None:
        """Do nothing, because nothing is open."""

    def look(self, folder: Path) -> dict[str, dict[str, Any]]:
        """Download both repos, if the Hub is available; return the fields of each request by path, oldest first."""
        for repo in (self.requests, self.results):
            snapshot_download(
                repo,
                repo_type="dataset",
                local_dir=folder / repo,
                endpoint=self.environment.hub.url,
                token=self.api.token,
                max_workers=2,
            )
        root = folder / self.requests
        paths = [path for path in root.glob("*/*_eval_request_*.json") if ".cache" not in path.parts]
        requests = {str(path.relative_to(root)): json.loads(path.read_text()) for path in paths}
        self.open = sum(fields["status"] in ("PENDING", "RUNNING") for fields in requests.values())
        return dict(sorted(requests.items(), key=lambda item: (item[1]["submitted_time"], item[0])))

    def set(self, folder: Path, path: str, fields: dict[str, Any]) -> None:
        """Write a request file with changed fields."""
        where = folder / self.requests / path
        where.write_text(json.dumps(fields))
        # The Hub's client treats a file that is younger than a second as its own download, and here it always is.
        later = time.time() + 2
        os.utime(where, (later, later))
        self.api.upload_file(path_or_fileobj=where, path_in_repo=path, repo_id=self.requests, repo_type="dataset")

    def results_of(self, folder: Path, fields: dict[str, Any]) -> list[str]:
        """Return the times, as comparable texts, of a model's results in any precision."""
        files = (folder / self.results / fields["model"]).glob("results_*.json")
        return [file.stem.removeprefix("results_") for file in files]

    def upload(self, begun: EvaluationTry) -> None:
        """Upload the scores of an evaluation."""
        where = f"{begun.submission.model}/results_{_time(self.environment.now)}.json"
        scores = json.dumps({"config_general": {"model_dtype": begun.submission.precision}, "results": {}}).encode()
        self.api.upload_file(path_or_fileobj=scores, path_in_repo=where, repo_id=self.results, repo_type="dataset")
        self.machines.publish(begun.submission, self.environment.now)


class Template(Polling):
    """One copy of the template per machine, on one queue."""

    def __init__(self, environment: Environment, board: str, token: str, folder: Path) -> None:
        super().__init__(environment, board, token, folder)
        for number in range(environment.scenario.machines):
            # The copies do not start at the same second.
            self.table.add(self._live(folder / str(number)), EPOCH + number * EVERY / environment.scenario.machines)

    def _live(self, folder: Path) -> Activity:
        while True:
            with suppress(HfHubHTTPError):  # the page of the Space shows the error; the next pass follows
                yield from self._pass(folder)
            yield EVERY

    def _pass(self, folder: Path) -> Activity:
        requests = self.look(folder)
        for path, fields in requests.items():
            if fields["status"] == "RUNNING":
                status = "FINISHED" if self.results_of(folder, fields) else "FAILED"
                self.set(folder, path, {**fields, "status": status})
        waiting = [(path, fields) for path, fields in requests.items() if fields["status"] == "PENDING"]
        if waiting:
            path, fields = waiting[0]
            self.set(folder, path, {**fields, "status": "RUNNING"})
            begun = self.machines.begin(self.environment.by_path[path], self.environment.now)
            yield begun.seconds
            if begun.ending == "well":
                self.upload(begun)
            yield begun.repair


class Cluster(Polling):
    """One pass for all machines, which asks a job scheduler for the running jobs."""

    def __init__(self, environment: Environment, board: str, token: str, folder: Path) -> None:
        super().__init__(environment, board, token, folder)
        self.running = set[str]()
        self.busy = 0
        self.table.add(self._live(), EPOCH)

    def _live(self) -> Activity:
        while True:
            with suppress(HfHubHTTPError):  # as above
                self._pass()
            yield EVERY

    def _pass(self) -> None:
        requests = self.look(self.folder)
        for path, fields in requests.items():
            if fields["status"] != "RUNNING":
                continue
            if any(at > fields["job_start_time"] for at in self.results_of(self.folder, fields)):
                self.set(self.folder, path, {**fields, "status": "FINISHED"})
            elif fields["job_id"] not in self.running:
                self.set(self.folder, path, {**fields, "status": "FAILED"})
        waiting = [(path, fields) for path, fields in requests.items() if fields["status"] == "PENDING"]
        if waiting and self.busy < self.environment.scenario.machines:
            self._launch(*waiting[0])

    def _launch(self, path: str, fields: dict[str, Any]) -> None:
        begun, job = (
            self.machines.begin(self.environment.by_path[path], self.environment.now),
            str(len(self.machines.tries)),
        )
        self.table.add(self._job(begun, job), self.environment.now)
        more = {"status": "RUNNING", "job_id": job, "job_start_time": _time(self.environment.now)}
        self.set(self.folder, path, {**fields, **more})

    def _job(self, begun: EvaluationTry, job: str) -> Activity:
        self.busy += 1
        self.running.add(job)
        yield begun.seconds
        with suppress(HfHubHTTPError):  # the job ends with this error, and its scores are lost
            if begun.ending == "well":
                self.upload(begun)
        self.running.discard(job)
        yield begun.repair
        self.busy -= 1


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME)
