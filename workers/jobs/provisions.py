"""What a job needs from outside and what it gives: models and questions from the Hub, details to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from leaderboard.attempts import Details
from leaderboard.suites import Suite
from redis_state.jobs import EvaluationJob
from workers.common.hub_access import HubAccess
from workers.errors import BaseModelGone, ModelGone
from workers.evaluation.model_requirements import weight_type
from workers.models.disk_store import PinnedSnapshot
from workers.models.downloads import SuiteQuestions, fetch_datasets, head_commit, pin_model
from workers.publication.publish import Publication, publish


@dataclass(frozen=True)
class Provisions:
    """All that the child of one attempt reads: the model's folder, that of its base model, the suite's questions.

    `held` keeps the folders from being evicted for as long as it is referred to.
    """

    model: Path
    questions: SuiteQuestions
    base: Path | None = None
    base_revision: str = ""
    held: tuple[PinnedSnapshot, ...] = ()


class HubGateway(Protocol):
    """The way to the Hub and back. Either call may take long and may raise whatever the Hub's client raises."""

    def fetch(self, job: EvaluationJob) -> Provisions:
        """Have what `job` needs on this machine."""

    def publish(self, publication: Publication) -> Details:
        """Publish, at most once per attempt, and say where."""


@dataclass(frozen=True)
class TokenHubGateway:
    """The real way, with the worker's token.

    `model_bytes` bounds what models take on the disk; `moved` says where the board holds the suite's questions.
    """

    hub: HubAccess
    suite: Suite
    work_dir: Path
    model_bytes: int | None = None
    moved: Mapping[str, str] = field(default_factory=dict)

    def fetch(self, job: EvaluationJob) -> Provisions:
        """Raises DownloadError and what the Hub's client raises."""
        questions = fetch_datasets(self.suite, self.hub, self.work_dir / "datasets", self.moved)
        kind = weight_type(job)
        held = self._hold(job.model, job.revision, adapter=kind == "Adapter")
        if kind == "Original":
            return Provisions(held.folder, questions, held=(held,))
        base, revision = self._base(job)
        return Provisions(held.folder, questions, base.folder, revision, (held, base))

    def _base(self, job: EvaluationJob) -> tuple[PinnedSnapshot, str]:
        """The base model at the commit that admission saw; at its newest, where that is not known."""
        if not job.base_model:
            raise BaseModelGone("the request names no base model")
        try:
            revision = job.base_revision or head_commit(job.base_model, self.hub)
            return self._hold(job.base_model, revision), revision
        except ModelGone as error:
            raise BaseModelGone(str(error)) from error

    def _hold(self, model: str, revision: str, *, adapter: bool = False) -> PinnedSnapshot:
        return pin_model(model, revision, self.hub, self.work_dir / "models", adapter=adapter, most=self.model_bytes)

    def publish(self, publication: Publication) -> Details:
        """Raises EvaluationFailed, PublicationFailed."""
        return publish(publication, self.hub)
