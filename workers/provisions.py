"""What a job needs from outside and what it gives: models and questions from the Hub, details to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from leaderboard.attempts import Details
from leaderboard.suites import Suite
from wire.jobs import EvaluationJob
from workers.access import HubAccess
from workers.downloads import Questions, fetch_datasets, fetch_model
from workers.publish import Publication, publish


@dataclass(frozen=True)
class Provisions:
    """All that the child of one attempt reads: the model's folder and the suite's questions."""

    model: Path
    questions: Questions


class Supply(Protocol):
    """The way to the Hub and back. Either call may take long and may raise whatever the Hub's client raises."""

    def fetch(self, job: EvaluationJob) -> Provisions:
        """Have what `job` needs on this machine."""

    def publish(self, publication: Publication) -> Details:
        """Publish, at most once per attempt, and say where."""


@dataclass(frozen=True)
class HubSupply:
    """The real way, with the worker's token."""

    hub: HubAccess
    suite: Suite
    work_dir: Path

    def fetch(self, job: EvaluationJob) -> Provisions:
        """Raises DownloadError and what the Hub's client raises."""
        questions = fetch_datasets(self.suite, self.hub, self.work_dir / "datasets")
        return Provisions(fetch_model(job.model, job.revision, self.hub, self.work_dir / "models"), questions)

    def publish(self, publication: Publication) -> Details:
        """Raises EvaluationFailed, PublicationFailed."""
        return publish(publication, self.hub)
