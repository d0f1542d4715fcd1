"""Two ways of running a board by polling, reimplemented from their known behaviour, with a real client of the Hub.

Template: the usual template for leaderboards. Every ten minutes, as long as its page is open in a browser (here
always), each copy makes one pass:

    download both repos completely
    RUNNING, and the model has any results file    → FINISHED
    RUNNING, and it has none                       → FAILED
    the oldest PENDING request                     → RUNNING, evaluated, its results uploaded

The reason of a failure stays in the log of that machine. A pass ends at an error, and the next one follows.

Cluster: the same with a job scheduler, as a leaderboard published it that grew out of the template. There is one pass
for all machines, which starts one job at most:

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

from simulations.peers.environment import EPOCH, Lab, Life, Machines, Timetable, Try

EVERY = 600.0
"""Seconds between the end of one pass and the next: the template's own setting."""
_TIME = "%Y-%m-%dT%H-%M-%S.%f"


class Polling:
    """The common part of both."""

    def __init__(self, lab: Lab, board: str, token: str, folder: Path) -> None:
        self.lab = lab
        self.name = self.board = board
        self.accounts = (board,)
        self.machines = Machines(lab.scenario)
        self.requests, self.results = f"{board}/requests", f"{board}/results"
        self.api = HfApi(lab.hub.url, token=token)
        self.table = Timetable()
        self.folder = folder
        self.open = 1
        """The number of waiting or running requests in the last pass."""

    def next_moment(self) -> float:
        """Return the time of the next event."""
        return self.table.next_moment()

    def act(self) -> None:
        """Do everything that is due."""
        self.table.go_on(self.lab.now)

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
                endpoint=self.lab.hub.url,
                token=self.api.token,
                max_workers=2,
            )
        root = folder / self.requests
        paths = [path for path in root.glob("*/*_eval_request_*.json") if ".cache" not in path.parts]
        found = {str(path.relative_to(root)): json.loads(path.read_text()) for path in paths}
        self.open = sum(fields["status"] in ("PENDING", "RUNNING") for fields in found.values())
        return dict(sorted(found.items(), key=lambda item: (item[1]["submitted_time"], item[0])))

    def set(self, folder: Path, path: str, fields: dict[str, Any]) -> None:
        """Write a request file with changed fields."""
        where = folder / self.requests / path
        where.write_text(json.dumps(fields))
        # The Hub's client treats a file that is younger than a second as its own download, which is always so here.
        later = time.time() + 2
        os.utime(where, (later, later))
        self.api.upload_file(path_or_fileobj=where, path_in_repo=path, repo_id=self.requests, repo_type="dataset")

    def results_of(self, folder: Path, fields: dict[str, Any]) -> list[str]:
        """Return the times, as comparable texts, of a model's results in any precision."""
        files = (folder / self.results / fields["model"]).glob("results_*.json")
        return [file.stem.removeprefix("results_") for file in files]

    def upload(self, begun: Try) -> None:
        """Upload the scores of an evaluation."""
        where = f"{begun.submission.model}/results_{_time(self.lab.now)}.json"
        scores = json.dumps({"config_general": {"model_dtype": begun.submission.precision}, "results": {}}).encode()
        self.api.upload_file(path_or_fileobj=scores, path_in_repo=where, repo_id=self.results, repo_type="dataset")
        self.machines.publish(begun.submission, self.lab.now)


class Template(Polling):
    """One copy of the template per machine, on one queue."""

    def __init__(self, lab: Lab, board: str, token: str, folder: Path) -> None:
        super().__init__(lab, board, token, folder)
        for number in range(lab.scenario.machines):
            # The copies do not start at the same second.
            self.table.add(self._live(folder / str(number)), EPOCH + number * EVERY / lab.scenario.machines)

    def _live(self, folder: Path) -> Life:
        while True:
            with suppress(HfHubHTTPError):  # the page of the Space shows it; the next pass follows
                yield from self._pass(folder)
            yield EVERY

    def _pass(self, folder: Path) -> Life:
        found = self.look(folder)
        for path, fields in found.items():
            if fields["status"] == "RUNNING":
                status = "FINISHED" if self.results_of(folder, fields) else "FAILED"
                self.set(folder, path, {**fields, "status": status})
        waiting = [(path, fields) for path, fields in found.items() if fields["status"] == "PENDING"]
        if waiting:
            path, fields = waiting[0]
            self.set(folder, path, {**fields, "status": "RUNNING"})
            begun = self.machines.begin(self.lab.by_path[path], self.lab.now)
            yield begun.seconds
            if begun.ending == "well":
                self.upload(begun)
            yield begun.repair


class Cluster(Polling):
    """One pass for all machines, which asks a job scheduler for the running jobs."""

    def __init__(self, lab: Lab, board: str, token: str, folder: Path) -> None:
        super().__init__(lab, board, token, folder)
        self.running = set[str]()
        self.busy = 0
        self.table.add(self._live(), EPOCH)

    def _live(self) -> Life:
        while True:
            with suppress(HfHubHTTPError):  # as above
                self._pass()
            yield EVERY

    def _pass(self) -> None:
        found = self.look(self.folder)
        for path, fields in found.items():
            if fields["status"] != "RUNNING":
                continue
            if any(at > fields["job_start_time"] for at in self.results_of(self.folder, fields)):
                self.set(self.folder, path, {**fields, "status": "FINISHED"})
            elif fields["job_id"] not in self.running:
                self.set(self.folder, path, {**fields, "status": "FAILED"})
        waiting = [(path, fields) for path, fields in found.items() if fields["status"] == "PENDING"]
        if waiting and self.busy < self.lab.scenario.machines:
            self._launch(*waiting[0])

    def _launch(self, path: str, fields: dict[str, Any]) -> None:
        begun, job = self.machines.begin(self.lab.by_path[path], self.lab.now), str(len(self.machines.tries))
        self.table.add(self._job(begun, job), self.lab.now)
        more = {"status": "RUNNING", "job_id": job, "job_start_time": _time(self.lab.now)}
        self.set(self.folder, path, {**fields, **more})

    def _job(self, begun: Try, job: str) -> Life:
        self.busy += 1
        self.running.add(job)
        yield begun.seconds
        with suppress(HfHubHTTPError):  # the job dies of it, and its scores with it
            if begun.ending == "well":
                self.upload(begun)
        self.running.discard(job)
        yield begun.repair
        self.busy -= 1


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(_TIME)
