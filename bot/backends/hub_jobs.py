"""The platform `jobs`: runs each attempt as a Job on the Hub, labelled with board, tier and attempt.

The Job's worker gets two secrets, the workers' token and the attempt's token, and reaches the bot over HTTPS only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from bot.core.platforms import LaunchOrder, PlatformError
from hub.client import Hub
from hub.errors import BadRequest, Denied, HubError, NotFound
from hub.records import HubJob
from hub.rights import rights_of
from leaderboard.attempts import ATTEMPT_ID
from leaderboard.backend_settings import JobsBackend
from leaderboard.backends import MONTH, BackendRun, RunStage
from leaderboard.tiers import Tier
from redis_state import clock

log = structlog.get_logger()

HIDDEN = "[hidden]"
MAX_LISTED = 5_000
"""Jobs of one tier that are read, the newest first."""
BOARD, TIER, ATTEMPT = "steward-board", "steward-tier", "steward-attempt"
"""Names of the labels of a Job."""
WORK_DIR = "/tmp/steward"  # noqa: S108  # nosec B108  # a folder of the Job's own container
MODEL_VOLUME = "/mnt/steward-model"
_STAGES: dict[str, RunStage] = {"SCHEDULING": "waiting", "RUNNING": "running", "COMPLETED": "ended"}
"""All other stages are failures."""


@dataclass(frozen=True)
class JobsPlatform:
    """The Jobs of one tier of the board named `board`. `worker_token` may write details repos only."""

    hub: Hub
    backend: JobsBackend
    board: str
    tier: Tier
    worker_token: str

    def problems(self) -> Iterator[str]:
        """Yield why it can start no Jobs: the token may not, or the Hub lacks the hardware. Raises PlatformError."""
        namespace, flavor = self.backend.namespace, self.backend.flavor
        try:
            rights, flavors = rights_of(self.hub), self.hub.job_flavors()
        except HubError as error:
            raise PlatformError(f"The Hub does not say who may start Jobs, and on what. {error}") from error
        if not rights.may_start_jobs_in(namespace):
            yield f"The token of {rights.name} may not start Jobs of {namespace}."
        if flavor not in flavors:
            yield f"The Hub has no hardware {flavor} for Jobs: it has {', '.join(sorted(flavors))}."

    def runs(self) -> list[BackendRun]:
        """The board's Jobs of this tier of the last 30 days. Raises PlatformError."""
        runs, oldest = [], clock.now() - MONTH
        try:
            for number, job in enumerate(self.hub.jobs(self.backend.namespace, self._labels())):
                if number >= MAX_LISTED:
                    break
                attempt, is_old = job.labels.get(ATTEMPT, ""), 0 < job.created < oldest
                # Check the labels again: if the Hub's filter failed, the bot could cancel a Job of another tier.
                is_ours = self._labels().items() <= job.labels.items() and ATTEMPT_ID.fullmatch(attempt) is not None
                if is_ours and not is_old:
                    runs.append(self._run(job, attempt))
        except HubError as error:
            raise PlatformError(f"The Jobs of {self.backend.namespace} cannot be listed. {error}") from error
        return runs

    def launch(self, order: LaunchOrder) -> str:
        """Start a Job for an attempt, and return its id. Raises PlatformError."""
        specification: dict[str, Any] = {
            "command": ["steward", "work", "--once", order.attempt],
            "arguments": [],
            "dockerImage": self.backend.image,
            "flavor": self.backend.flavor,
            "timeoutSeconds": int(order.seconds),
            "environment": {
                "HF_ENDPOINT": self.hub.endpoint,
                "STEWARD_BOARD_URL": order.board_url,
                "STEWARD_WORK_DIR": WORK_DIR,
            },
            "secrets": {"STEWARD_WORKER_TOKEN": self.worker_token, "STEWARD_ATTEMPT_TOKEN": order.token},
            "labels": {**self._labels(), ATTEMPT: order.attempt},
        }
        try:
            return self._start(specification, order)
        except HubError as error:
            reason = self._without_tokens(error, order)
            raise PlatformError(f"No Job could be started in {self.backend.namespace}. {reason}") from None

    def _without_tokens(self, error: HubError, order: LaunchOrder) -> str:
        """The Hub's message without tokens: it may quote the refused call, and pages show troubles of backends."""
        return str(error).replace(self.worker_token, HIDDEN).replace(order.token, HIDDEN)

    def _volume(self, order: LaunchOrder) -> dict[str, Any] | None:
        """The model at its commit as a volume; None if mounts are off, or the model is private or gated."""
        if not self.backend.mount_models or order.private:
            return None
        pinned = {"source": order.model, "revision": order.revision, "readOnly": True}
        return {"type": "model", **pinned, "mountPath": MODEL_VOLUME}

    def _start(self, specification: dict[str, Any], order: LaunchOrder) -> str:
        """Start a Job, without the model's volume where the Hub refuses it, and return its id. Raises HubError."""
        if (volume := self._volume(order)) is not None:
            environment = {**specification["environment"], "STEWARD_MODEL_VOLUME": MODEL_VOLUME}
            mounted = {**specification, "environment": environment, "volumes": [volume]}
            try:
                return self.hub.start_job(self.backend.namespace, mounted).id
            except (BadRequest, Denied, NotFound) as error:  # nothing was started
                log.warning(
                    "the Hub does not mount a model", model=order.model, error=self._without_tokens(error, order)
                )
        return self.hub.start_job(self.backend.namespace, specification).id

    def cancel(self, run: BackendRun) -> None:
        """Cancel a Job; one that has ended is no error. Raises PlatformError."""
        try:
            self.hub.cancel_job(self.backend.namespace, run.id)
        except HubError as error:
            raise PlatformError(f"The Job {run.id} could not be cancelled. {error}") from error

    def _labels(self) -> dict[str, str]:
        return {BOARD: self.board, TIER: self.tier}

    def _run(self, job: HubJob, attempt: str) -> BackendRun:
        stage = _STAGES.get(job.stage, "failed")
        ended = 0.0 if stage in ("waiting", "running") else job.ended
        return BackendRun(job.id, attempt, self.tier, stage, job.created, started=job.started, ended=ended)
