"""The settings of worker backends in a board file: Jobs on the Hub or a Slurm cluster, and limits of their costs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from leaderboard.attempts import PUBLICATION_WAIT_SECONDS

MARGIN_SECONDS = 900.0 + PUBLICATION_WAIT_SECONDS
"""Seconds of a run that are reserved for the start of the machine, and for the publication of the results, which may
have to wait for the Hub."""
Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.\-]{0,62}$")]


class CostLimits(BaseModel):
    """What a backend's runs may cost, in the currency of `hourly`. None: no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hourly: float = Field(default=0.0, ge=0, description="price of an hour of one run; 0: it costs nothing")
    by_attempt: float | None = Field(default=None, gt=0, description="highest cost of a run; gives its time limit")
    by_day: float | None = Field(default=None, gt=0, description="highest cost in any 24 hours")
    by_month: float | None = Field(default=None, gt=0, description="highest cost in any 30 days")


class BackendSettings(BaseModel):
    """The settings that all kinds of backends have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    parallel: int = Field(default=1, ge=1, le=1_000, description="maximal runs at the same time")
    costs: CostLimits = Field(default_factory=CostLimits)
    wait_seconds: int = Field(
        default=3_600, ge=60, le=14 * 86_400, description="seconds for which a run may wait for a machine"
    )

    def seconds(self, attempt_seconds: float) -> float:
        """Return the time limit of one run: `attempt_seconds`, or less if the cost limit of a run is lower."""
        if self.costs.by_attempt is None or not self.costs.hourly:
            return attempt_seconds
        return min(attempt_seconds, self.costs.by_attempt / self.costs.hourly * 3_600)

    def evaluation_seconds(self, attempt_seconds: float) -> float:
        """Return the time limit of the evaluation in such a run; it ends before the run does, with a recorded cause."""
        seconds = self.seconds(attempt_seconds)
        return max(seconds - MARGIN_SECONDS, 0.75 * seconds)


class JobsBackend(BackendSettings):
    """Jobs on the Hub: one Job for each attempt."""

    kind: Literal["jobs"]
    namespace: Label = Field(description="the account or organisation that pays for the Jobs")
    flavor: Label = Field(description="the hardware, by the Hub's name: `a100-large`")
    image: str = Field(max_length=300, description="the worker's image")
    mount_models: bool = Field(
        default=False,
        description="whether the Hub mounts the model in the Job, at its commit, and the worker copies it from there",
    )


class SlurmBackend(BackendSettings):
    """Jobs of a Slurm cluster: the bot runs where `sbatch` is."""

    kind: Literal["slurm"]
    template: str = Field(max_length=500, description="the site's batch script; see docs/backends.md")
    partition: Label | None = Field(default=None, description="where its jobs run; without it, the template's")
    spool: str = Field(
        max_length=500, description="folder for the attempts' tokens and logs, which the cluster's nodes share"
    )


Backend = Annotated[JobsBackend | SlurmBackend, Field(discriminator="kind")]
