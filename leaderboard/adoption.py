"""The record of adoption, which separates a board's older files and threads from newer ones.

The record is one file in the requests repo. It stores commits and thread numbers, so that the Hub alone shows what is
old: a file is old while it equals its version at the commit of adoption; a thread is old if its number is not above the
highest number at that time. Steward reads, lists and searches old files and threads, but edits, answers or relaunches
them only if a person asks.

A change after adoption, by a resubmission or by another backend, ends a file's old state. A file that Steward was
already evaluating when the record was written (its `steward` object has an attempt number) is never old.

An accepted limit: a file that is deleted and submitted again, byte for byte, still counts as old.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from leaderboard.attempts import Failure
from leaderboard.reasons import describe_errors
from leaderboard.requests import Request
from leaderboard.times import read_time

RECORD = ".steward/adoption"
"""Path of the record in the requests repo. It has no `.json`: front ends read every `.json` file as a request."""
FORMER_RECORD = ".steward/adopted.json"
"""Path of the record in earlier versions of Steward, which still counts if there is no file at `RECORD`."""
MAX_RECORD = 100_000
CommitId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class BadRecord(ValueError):
    """The record of adoption is unreadable; the message says why."""


class AdoptingAccount(BaseModel):
    """The account that adopted the board, as the Hub reported it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(max_length=100)
    name: str = Field(max_length=100)


class AdoptionRecord(BaseModel):
    """The time, the author and the state of the board at its adoption.

    `commits` by repo id. `threads`: the highest thread number by `{kind}/{repo id}`; 0 if there was none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: int = Field(default=1, ge=1, le=1)
    board: str = Field(max_length=100)
    at: str = Field(max_length=40, description="ISO time in UTC")
    by: AdoptingAccount
    commits: Mapping[str, CommitId]
    threads: Mapping[str, int]
    files: int = Field(ge=0, description="number of request files at that time")

    @field_validator("at")
    @classmethod
    def _is_time(cls, at: str) -> str:
        if read_time(at) is None:
            raise ValueError("it is no ISO time")
        return at

    @property
    def seconds(self) -> float:
        """`at` in seconds since the epoch; a time without a zone is in UTC."""
        return read_time(self.at) or 0.0

    def commit(self, repo: str) -> str | None:
        """Return the commit at which `repo` was adopted; None for a repo that was not adopted."""
        return self.commits.get(repo)

    def is_old_thread(self, repo: str, number: int) -> bool:
        """Whether thread `number` of `repo` (`{kind}/{id}`) is older than the adoption."""
        return number <= self.threads.get(repo, 0)


def parse_record(data: bytes, board: str = "") -> AdoptionRecord:
    """Parse the record in `data`, which must be of the board with the name `board`, if that is known. Raises BadRecord.

    Two installations with different names would both answer on the same requests.
    """
    try:
        record = AdoptionRecord.model_validate_json(data)
    except ValidationError as error:
        raise BadRecord(f"{RECORD} is not a record of adoption: {describe_errors(error, limit=5)[:500]}") from error
    if board and record.board != board:
        raise BadRecord(
            f"{RECORD} is the record of the board '{record.board}', and this installation serves '{board}'. "
            "A board has one bot: stop this one and use the other's board file, or correct the `name` in this one."
        )
    return record


def is_old(adopted: str | None, now: str, request: Request | None) -> bool:
    """Whether a request file is older than the adoption, so that Steward leaves it unchanged.

    `adopted` and `now` are git blob ids: of the file at the commit of adoption (None if it did not exist), and of the
    present file. `request` is the parsed file, if it is readable.
    """
    if adopted is None or adopted != now:
        return False
    return request is None or request.file.steward.attempt == 0


def old_failure(adopted: str) -> Failure:
    """Return the failure that people see for a request that failed before the adoption at this ISO time."""
    on = f" on {adopted[:10]}" if adopted else ""
    return Failure(
        cause="before-adoption",
        fault="unknown",
        message=f"It failed before Steward took over this board{on}, so there is no log.",
        advice="Ask a maintainer to run it again if you think that it should work.",
    )
