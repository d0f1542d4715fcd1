"""A worker's access to the Hub: downloads models and questions, publishes details."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from leaderboard.attempts import Details
from leaderboard.suites import Suite
from redis_state.jobs import EvaluationJob
from workers.common.hub_access import HubAccess
from workers.errors import BaseModelGone, ConfigMissing, ModelGone, WeightsMissing
from workers.evaluation.model_requirements import weight_type
from workers.models.disk_store import PinnedSnapshot
from workers.models.downloads import SuiteQuestions, fetch_datasets, head_commit, pin_model
from workers.publication.answer_branches import AnswerBranches, BranchName
from workers.publication.publish import publish
from workers.publication.spool import Publication


@dataclass(frozen=True)
class Provisions:
    """The files that the child of one attempt reads: the model, its base model, the suite's questions.

    `held` pins the model folders in the store for as long as this object is referenced.
    """

    model: Path
    questions: SuiteQuestions
    base: Path | None = None
    base_revision: str = ""
    held: tuple[PinnedSnapshot, ...] = ()


class HubGateway(Protocol):
    """An attempt's access to the Hub. Both calls may take long, and raise what the Hub's client raises."""

    def fetch(self, job: EvaluationJob) -> Provisions:
        """Download what `job` needs to this machine."""

    def publish(self, publication: Publication) -> Details:
        """Publish an attempt's details, at most once, and return where they are."""

    def answer_branches(
        self, repo: str, name: BranchName, *, is_private: bool, is_gated: bool
    ) -> AnswerBranches | None:
        """The branches in which workers on several machines share answers; None without a token for them."""


@dataclass(frozen=True)
class TokenHubGateway:
    """The real gateway, with the worker's token.

    `model_bytes` limits the disk space of models; `moved` maps the suite's dataset repos to the board's copies;
    `volume` is a folder with the model's files, which the platform mounted.
    """

    hub: HubAccess
    suite: Suite
    work_dir: Path
    model_bytes: int | None = None
    moved: Mapping[str, str] = field(default_factory=dict)
    volume: Path | None = None

    def fetch(self, job: EvaluationJob) -> Provisions:
        """Download model, base model and questions. Raises DownloadError and what the Hub's client raises."""
        questions = fetch_datasets(self.suite, self.hub, self.work_dir / "datasets", self.moved)
        kind = weight_type(job)
        snapshot = self._pin(job.model, job.revision, adapter=kind == "Adapter", volume=self.volume)
        if kind == "Original":
            return Provisions(snapshot.folder, questions, held=(snapshot,))
        base, revision = self._base(job)
        return Provisions(snapshot.folder, questions, base.folder, revision, (snapshot, base))

    def _base(self, job: EvaluationJob) -> tuple[PinnedSnapshot, str]:
        """Pin the base model at the commit that admission recorded, or at its head if none is recorded."""
        if not job.base_model:
            raise BaseModelGone("the request names no base model")
        try:
            revision = job.base_revision or head_commit(job.base_model, self.hub)
            return self._pin(job.base_model, revision), revision
        except ModelGone as error:
            raise BaseModelGone(str(error)) from error
        except (ConfigMissing, WeightsMissing) as error:  # an adapter, which may itself name this model as its base
            problem = str(error)  # raised below without its cause, which would count as the submitted model's
        raise BaseModelGone(f"{job.base_model} is no whole model: {problem}")

    def _pin(self, model: str, revision: str, *, adapter: bool = False, volume: Path | None = None) -> PinnedSnapshot:
        folder = self.work_dir / "models"
        return pin_model(model, revision, self.hub, folder, adapter=adapter, max_bytes=self.model_bytes, volume=volume)

    def publish(self, publication: Publication) -> Details:
        """Commit the details. Raises EvaluationFailed, PublicationFailed."""
        return publish(publication, self.hub)

    def answer_branches(
        self, repo: str, name: BranchName, *, is_private: bool, is_gated: bool
    ) -> AnswerBranches | None:
        """The branches with answers in `repo`, a model's details repo; None without a token."""
        if self.hub.token is None:
            return None
        return AnswerBranches(self.hub, repo, name, is_private=is_private, is_gated=is_gated)
