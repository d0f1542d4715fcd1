"""An attempt, which is one try at evaluating a request at one commit: its id and its outcome.

The id is deterministic, so that any process can compute it again after Redis is lost, and valid as an RQ job id
(letters, digits, hyphens). A worker reports the outcome; it is untrusted until it is checked.
"""

from __future__ import annotations

import hashlib
import re
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from leaderboard.evidence import FailureEvidence
from leaderboard.trials import TrialReport

Fault = Literal["submission", "us", "hub", "unknown"]

TRIAL = "trial:"
"""The prefix of a trial's path, which stands in place of a request file's path and is the trial's dirty key too."""
ATTEMPT_ID = re.compile(r"^[0-9a-f]{12}-[0-9a-f]{8}-[0-9]{1,6}$")
MAX_NUMBER = 900_000
"""The highest attempt number that a file may claim, so that numbers are left for later attempts."""
PUBLICATION_WAIT_SECONDS = 1_800.0
"""Seconds for which a worker retries a publication while the Hub is unavailable or limits calls."""


def attempt_id(board: str, path: str, revision: str, number: int) -> str:
    """Return the id of attempt `number` (from 1) of the request at `path`, at the model commit `revision`."""
    return f"{attempt_prefix(board, path)}-{revision[:8]}-{number}"


def attempt_prefix(board: str, path: str) -> str:
    """Return the 12 digits with which the ids of all attempts at `path` of `board` begin."""
    return hashlib.sha256(f"{board}\n{path}".encode()).hexdigest()[:12]


def dirty_key(path: str) -> str:
    """Return the dirty key of the request or the trial at `path`."""
    return path if path.startswith(TRIAL) else f"request:{path}"


def number_in(attempt: object, board: str | None = None, path: str | None = None) -> int:
    """Return the number in an attempt id; 0 if it is no id, or belongs to another `board` and `path` if given."""
    if not isinstance(attempt, str) or ATTEMPT_ID.fullmatch(attempt) is None:
        return 0
    if board is not None and path is not None and attempt[:12] != attempt_prefix(board, path):
        return 0
    return int(attempt.rpartition("-")[2])


class Failure(BaseModel):
    """A diagnosis of a failed attempt or a refused submission, with advice that people can act on."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cause: str = Field(max_length=64, pattern=r"^[a-z0-9-]+$")
    fault: Fault
    message: str = Field(max_length=2_000)
    advice: str = Field(default="", max_length=2_000)


class Details(BaseModel):
    """Where the worker published the evaluation: one commit in one dataset repo."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    repo: str = Field(max_length=200)
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    results_path: str = Field(max_length=1_000)


class Outcome(BaseModel):
    """How one attempt ended. Exactly one of `details`, `failure` and `trial` is set."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: Literal[1] = 1
    attempt: str = Field(pattern=ATTEMPT_ID.pattern)
    path: str = Field(max_length=1_000)
    revision: str = Field(pattern=r"^[0-9a-f]{40}$")
    suite: str = Field(max_length=100)
    suite_digest: str = Field(max_length=64)
    started: float = Field(ge=0, allow_inf_nan=False, description="seconds since the epoch")
    ended: float = Field(ge=0, allow_inf_nan=False)
    phase: str = Field(max_length=32, description="where it ended: download, load, evaluate, publish …")
    details: Details | None = None
    failure: Failure | None = None
    trial: TrialReport | None = Field(default=None, description="what a trial showed, in place of `details`")
    evidence: FailureEvidence | None = Field(default=None, description="the evidence for `failure`, scrubbed")
    replayed: int = Field(default=0, ge=0, description="answers that an earlier attempt computed")
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: str = Field(default="", max_length=200)

    @property
    def ok(self) -> bool:
        """Whether the attempt has results to publish."""
        return self.failure is None and self.details is not None

    def failed_with(self, failure: Failure) -> Outcome:
        """Return this outcome with `failure` in place of its results."""
        return self.model_copy(update={"details": None, "failure": failure})
