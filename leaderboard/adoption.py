"""What a board was before Steward came, and that it is left in peace.

The record of it is one file in the requests repo. It names commits and thread numbers, so that what is old can be
found out again from the Hub alone: a file is old as long as it is what it was at the commit of adoption, a thread if
its number is not above the highest of that time. What is old is read, listed and searched, but never edited, commented
on, relaunched or given a thread unless a person asks.

A file that somebody changes after adoption is old no more: a resubmission, or the status that another backend sets. One
that Steward itself had in hand when the record was written (its `steward` object numbers an attempt) never was.

Accepted: a file that is deleted and submitted anew, the same to the last byte, is taken for the old one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from leaderboard.attempts import Failure
from leaderboard.mistakes import mistakes
from leaderboard.requests import Request

RECORD = ".steward/adoption"
"""Path of the record in the requests repo; front ends take every file that ends in `.json` for a request."""
FORMER_RECORD = ".steward/adopted.json"
"""Its path in earlier versions; it counts where there is no file at `RECORD`."""
MAX_RECORD = 100_000
CommitId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


class BadRecord(ValueError):
    """The record of adoption cannot be read; the message says why."""


class AdoptingAccount(BaseModel):
    """An account, as the Hub reported it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str = Field(max_length=100)
    name: str = Field(max_length=100)


class AdoptionRecord(BaseModel):
    """When, by whom and at which state a board was adopted.

    `commits` by repo id. `threads`: the highest thread number by `{kind}/{repo id}`; 0 where there was none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    v: int = Field(default=1, ge=1, le=1)
    board: str = Field(max_length=100)
    at: str = Field(max_length=40, description="ISO time in UTC")
    by: AdoptingAccount
    commits: Mapping[str, CommitId]
    threads: Mapping[str, int]
    files: int = Field(ge=0, description="how many request files there were")

    def commit(self, repo: str) -> str | None:
        """The commit at which `repo` was adopted; None where that repo was not."""
        return self.commits.get(repo)

    def is_old_thread(self, repo: str, number: int) -> bool:
        """Whether thread `number` of `repo` (`{kind}/{id}`) was there before."""
        return number <= self.threads.get(repo, 0)


def parse_record(data: bytes) -> AdoptionRecord:
    """The record in `data`. Raises BadRecord."""
    try:
        return AdoptionRecord.model_validate_json(data)
    except ValidationError as error:
        raise BadRecord(f"{RECORD} is not a record of adoption: {mistakes(error, most=5)[:500]}") from error


def is_old(adopted: str | None, now: str, request: Request | None) -> bool:
    """Whether a request file is from before adoption, and so to be left in peace.

    `adopted` and `now` are git blob ids: of the file at the commit of adoption (None where there was none), and as it
    is. `request` is what could be read in it, if anything.
    """
    if adopted is None or adopted != now:
        return False
    return request is None or request.file.steward.attempt == 0


def old_failure(adopted: str) -> Failure:
    """What people are told of a request that had failed before the board was adopted, at this ISO time."""
    on = f" on {adopted[:10]}" if adopted else ""
    return Failure(
        cause="before-adoption",
        fault="unknown",
        message=f"It failed before Steward took over this board{on}; no log of it was kept.",
        advice="Ask a maintainer to run it again if you think that it should work.",
    )
