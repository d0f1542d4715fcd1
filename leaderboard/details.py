"""Paths in a model's details repos, and the outcome file that identifies a published attempt there.

    README.md                                  the card: configs and splits
    results_{time}.json                        the harness's results with the `steward` block, one file per run
    {time}/details_{task}_{time}.parquet       every answer, one file per task and run
    {time}/results_{time}.parquet              the scores as a table
    attempts/{attempt}/outcome.json, log.txt   one folder per attempt
    attempts/{attempt}/attachments/{name}      files that the suite's evaluator attached

Scores that were computed again are a run too, without a folder of an attempt: its results file names the evaluation.

`{time}` is the time at which the run was complete, as `results.file_time` formats it. The outcome file is in the same
commit as all other files of its attempt, so a reader who finds it finds everything.

If a suite has restricted benchmarks, the tables of their tasks, the log and the attachments are in a second, gated repo
(`BoardRepos.restricted_details`), under the same paths and with an outcome file too. It is committed before the first.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.attempts import ATTEMPT_ID, Details, Outcome

CARD = "README.md"
RESULTS_CONFIG = "results"
LATEST = "latest"

_TIME = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{6}"
_TABLE = re.compile(rf"^({_TIME})/(?:details_([a-z0-9_]+)|(results))_\1\.parquet$")


def outcome_path(attempt: str) -> str:
    """Return the path of the outcome of `attempt`."""
    return f"attempts/{attempt}/outcome.json"


def log_path(attempt: str) -> str:
    """Return the path of the log of `attempt`."""
    return f"attempts/{attempt}/log.txt"


def attachment_path(attempt: str, name: str) -> str:
    """Return the path of the file `name` that the evaluator of `attempt` attached."""
    return f"attempts/{attempt}/attachments/{name}"


def results_file(time: str) -> str:
    """Return the path of the results of the run that was complete at `time`."""
    return f"results_{time}.json"


def shared_results_path(model: str, path: str) -> str | None:
    """Return the path in the results repo for the results file at `path` of a details repo; None for other files.

    It depends on the file's own name alone, so that the copy has one name, whichever way the bot received the outcome.
    """
    return f"{model}/{path}" if re.fullmatch(rf"results_{_TIME}\.json", path) else None


def table_path(config: str, time: str) -> str:
    """Return the path of the table of `config` (a task, or `results`) of one run."""
    return f"{time}/results_{time}.parquet" if config == RESULTS_CONFIG else f"{time}/details_{config}_{time}.parquet"


def parse_table_path(path: str) -> tuple[str, str] | None:
    """Return (config, time) of a table's path; None for other paths."""
    match = _TABLE.fullmatch(path)
    return (match[2] or match[3], match[1]) if match else None


def split_name(time: str) -> str:
    """Return the split of a run; split names allow letters, digits, underscores and dots."""
    return re.sub(r"[^\w.]", "_", time)


class PublishedOutcome(BaseModel):
    """The outcome file of a published attempt. It is part of the commit that it describes and so cannot name it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    attempt: str = Field(pattern=ATTEMPT_ID.pattern)
    path: str = Field(max_length=1_000, description="of the request file")
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    suite: str = Field(max_length=100)
    suite_digest: str = Field(max_length=64)
    started: float = Field(ge=0, allow_inf_nan=False)
    ended: float = Field(ge=0, allow_inf_nan=False)
    results_path: str = Field(max_length=1_000)
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: str = Field(default="", max_length=200)

    def outcome(self, repo: str, commit: str) -> Outcome:
        """Return the outcome that this file, read from `repo` at `commit`, describes."""
        return Outcome(
            attempt=self.attempt,
            path=self.path,
            revision=self.revision,
            suite=self.suite,
            suite_digest=self.suite_digest,
            started=self.started,
            ended=self.ended,
            phase="publish",
            details=Details(repo=repo, commit=commit, results_path=self.results_path),
            versions=self.versions,
            hardware=self.hardware,
        )
