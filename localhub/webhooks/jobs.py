"""Webhooks that start a Job for each event: a copy of the Job that they name, with the event in its environment.

The secrets of that Job are not copied: the Job gets the secrets that were given with the webhook, stored in the table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from localhub.database import Database
from localhub.errors import HubError
from localhub.jobs.runner import JobRunner
from localhub.jobs.store import Job, JobSpec, JobStore
from localhub.json_values import JsonObject
from localhub.webhooks.delivery_log import OutgoingDelivery
from localhub.webhooks.store import Webhook

SCHEMA = """
CREATE TABLE IF NOT EXISTS webhook_jobs (
  webhook_id TEXT PRIMARY KEY, source_id TEXT NOT NULL, namespace_id TEXT NOT NULL, spec TEXT NOT NULL,
  secrets TEXT NOT NULL);
"""


@dataclass(frozen=True)
class WebhookJob:
    """The Job that a webhook starts: `source_id` again, in the namespace that it ran in."""

    source_id: str
    namespace_id: str
    spec: JobSpec
    secrets: Mapping[str, str]

    def as_json(self) -> JsonObject:
        """The Job as the API shows it: with the names of its secrets alone [?]."""
        spec = self.spec
        is_space = spec.image.startswith("spaces/")
        return {
            "dockerImage": None if is_space else spec.image,
            "spaceId": spec.image.removeprefix("spaces/") if is_space else None,
            "command": list(spec.command),
            "arguments": [],
            "environment": dict(spec.environment),
            "secrets": sorted(self.secrets),
            "flavor": spec.flavor,
            "timeout": int(spec.seconds),
            "labels": dict(spec.labels),
        }


class WebhookJobs:
    """Stores the Job of each webhook that starts one, and starts it."""

    def __init__(self, database: Database, jobs: JobStore, runner: JobRunner) -> None:
        self._database = database
        self._jobs = jobs
        self._runner = runner
        database.ensure(SCHEMA)

    def source(self, job_id: str) -> Job:
        """The Job to start again. Raises HubError 404."""
        return self._jobs.find(job_id)

    def put(self, webhook_id: str, source: Job, secrets: Mapping[str, str]) -> None:
        """Store the Job that a webhook starts."""
        spec = {**vars(source.spec), "command": list(source.spec.command)}
        row = (webhook_id, source.id, source.owner_id, json.dumps(spec), json.dumps(dict(secrets)))
        with self._database.write() as db:
            db.execute("INSERT OR REPLACE INTO webhook_jobs VALUES (?, ?, ?, ?, ?)", row)

    def find(self, webhook_id: str) -> WebhookJob | None:
        """The Job that a webhook starts; None for a webhook that calls a URL."""
        row = self._database.row("SELECT * FROM webhook_jobs WHERE webhook_id = ?", (webhook_id,))
        if row is None:
            return None
        fields = json.loads(row["spec"])
        spec = JobSpec(**{**fields, "command": tuple(fields["command"])})
        return WebhookJob(row["source_id"], row["namespace_id"], spec, json.loads(row["secrets"]))

    def remove(self, webhook_id: str) -> None:
        """Delete the Job that a webhook starts."""
        with self._database.write() as db:
            db.execute("DELETE FROM webhook_jobs WHERE webhook_id = ?", (webhook_id,))

    def start(self, webhook: Webhook, delivery: OutgoingDelivery) -> tuple[int, str | None]:
        """Start the Job of a webhook for a delivery. Return a status and the error, if any, as of a call [?]."""
        job = self.find(webhook.id)
        if job is None:
            return 0, "there is no Job to start"
        repo = json.loads(delivery.payload).get("repo") or {}
        event = {
            "WEBHOOK_PAYLOAD": delivery.payload,
            "WEBHOOK_REPO_ID": str(repo.get("name", "")),
            "WEBHOOK_REPO_TYPE": str(repo.get("type", "")),
            "WEBHOOK_ID": webhook.id,
        }
        secrets = {**job.secrets, **({"WEBHOOK_SECRET": webhook.secret} if webhook.secret is not None else {})}
        spec = replace(job.spec, environment={**job.spec.environment, **event})
        try:
            self._runner.start(job.namespace_id, webhook.owner_id, spec, secrets)
        except HubError as error:
            return error.status, str(error)[:500]
        return 200, None
