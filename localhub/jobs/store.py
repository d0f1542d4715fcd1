"""Jobs as rows: their specification and their state. Secrets are not stored: only running processes have them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from localhub.clock import Clock, iso
from localhub.database import Database
from localhub.errors import HubError
from localhub.ids import new_id
from localhub.json_values import JsonObject

JobStage = Literal["SCHEDULING", "RUNNING", "COMPLETED", "CANCELED", "ERROR", "DELETED"]
LIVE: tuple[JobStage, ...] = ("SCHEDULING", "RUNNING")

SCHEMA = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, owner_id TEXT NOT NULL, initiator_id TEXT NOT NULL, spec TEXT NOT NULL, stage TEXT NOT NULL,
  message TEXT, created_at TEXT NOT NULL, started_at TEXT, finished_at TEXT);
CREATE INDEX IF NOT EXISTS jobs_by_owner ON jobs (owner_id);
"""


@dataclass(frozen=True)
class JobSpec:
    """A command in an image, the flavor of hardware to run it on, and its time limit."""

    command: tuple[str, ...]
    image: str
    flavor: str
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    seconds: float
    volumes: Sequence[JsonObject] = ()
    secret_names: Sequence[str] = ()


@dataclass(frozen=True)
class Job:
    """One Job. Times are in the API's form."""

    id: str
    owner_id: str
    initiator_id: str
    spec: JobSpec
    stage: JobStage
    message: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None

    @property
    def is_live(self) -> bool:
        """Whether it waits or runs."""
        return self.stage in LIVE


class JobStore:
    """The table of Jobs."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        database.ensure(SCHEMA)

    def add(self, owner_id: str, initiator_id: str, spec: JobSpec) -> Job:
        """Store a new Job, which waits."""
        job_id = new_id()
        fields = {**vars(spec), "command": list(spec.command)}
        row = (job_id, owner_id, initiator_id, json.dumps(fields), "SCHEDULING", iso(self._clock.now()))
        with self._database.write() as db:
            db.execute(
                "INSERT INTO jobs (id, owner_id, initiator_id, spec, stage, created_at) VALUES (?, ?, ?, ?, ?, ?)", row
            )
        return self.get(job_id, owner_id)

    def get(self, job_id: str, owner_id: str) -> Job:
        """The Job of that id; `HubError` 404 if the account has none."""
        row = self._database.row("SELECT * FROM jobs WHERE id = ? AND owner_id = ?", (job_id, owner_id))
        if row is None or row["stage"] == "DELETED":
            raise HubError(404, "Job not found")
        return _job(row)

    def find(self, job_id: str) -> Job:
        """The Job of that id, of any account; `HubError` 404 if there is none."""
        row = self._database.row("SELECT * FROM jobs WHERE id = ? AND stage != 'DELETED'", (job_id,))
        if row is None:
            raise HubError(404, "Job not found")
        return _job(row)

    def of_owner(self, owner_id: str, labels: Sequence[tuple[str, str]], stages: Sequence[str]) -> list[Job]:
        """The account's Jobs with all these labels, in one of these stages if there are any; newest first."""
        rows = self._database.rows(
            "SELECT * FROM jobs WHERE owner_id = ? AND stage != 'DELETED' ORDER BY rowid DESC", (owner_id,)
        )
        jobs = map(_job, rows)
        return [
            job
            for job in jobs
            if all(job.spec.labels.get(name) == value for name, value in labels) and (not stages or job.stage in stages)
        ]

    def relabel(self, job_id: str, owner_id: str, labels: Mapping[str, str]) -> Job:
        """Replace the labels of a Job; `HubError` 404 if the account has none of that id."""
        job = self.get(job_id, owner_id)
        fields = {**vars(replace(job.spec, labels=dict(labels))), "command": list(job.spec.command)}
        with self._database.write() as db:
            db.execute("UPDATE jobs SET spec = ? WHERE id = ?", (json.dumps(fields), job_id))
        return self.get(job_id, owner_id)

    def live(self) -> list[Job]:
        """All Jobs that wait or run."""
        return [_job(row) for row in self._database.rows("SELECT * FROM jobs WHERE stage IN ('SCHEDULING', 'RUNNING')")]

    def begin(self, job_id: str) -> bool:
        """Store that a waiting Job runs; False if it no longer waits."""
        return self._change(job_id, "started_at", "RUNNING", None, ("SCHEDULING",))

    def end(self, job_id: str, stage: JobStage, message: str | None = None) -> bool:
        """Store how a Job ended; False if it had ended before."""
        return self._change(job_id, "finished_at", stage, message, LIVE)

    def _change(
        self, job_id: str, time: Literal["started_at", "finished_at"], stage: JobStage, message: str | None,
        before: Sequence[str],
    ) -> bool:  # fmt: skip
        now = iso(self._clock.now())
        marks = ", ".join("?" for _ in before)
        with self._database.write() as db:
            changed = db.execute(
                f"UPDATE jobs SET stage = ?, message = ?, {time} = ? WHERE id = ? AND stage IN ({marks})",  # noqa: S608  # nosec B608  # a column's name
                (stage, message, now, job_id, *before),
            )
        return changed.rowcount == 1


def _job(row: sqlite3.Row) -> Job:
    spec: dict[str, Any] = json.loads(row["spec"])
    return Job(
        id=row["id"],
        owner_id=row["owner_id"],
        initiator_id=row["initiator_id"],
        spec=JobSpec(**{**spec, "command": tuple(spec["command"])}),
        stage=row["stage"],
        message=row["message"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
