"""One row of the table of causes, and the retry policies that rows share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leaderboard.attempts import Failure, Fault
from leaderboard.evidence import EvidencePattern

MAX_DETAIL = 300
"""Characters of the detail in a message."""

Tier = Literal["same", "larger"]


@dataclass(frozen=True)
class Retry:
    """The number of automatic retries after a failure, the seconds before each, and their tier.

    `tier` larger: the next tier with more memory, if the board has one.
    """

    times: int = 0
    wait: float = 0.0
    tier: Tier = "same"


NEVER = Retry()
AT_ONCE = Retry(times=2, wait=0.0)
SHORTLY = Retry(times=3, wait=60.0)
LATER = Retry(times=3, wait=900.0)
ONCE = Retry(times=1, wait=300.0)
LARGER = Retry(times=1, wait=300.0, tier="larger")

TRIED_AGAIN = "You don't need to do anything: the evaluation is retried automatically."
"""The advice for failures that are not the submitter's fault and are retried."""
LOADING = ("load",)
"""The phase that reads the model's own files."""


@dataclass(frozen=True)
class Cause:
    """One row of the table: any of `signs` identifies the cause. `code` is stable, because request files and
    statistics store it.

    `{detail}` in the message is untrusted: escape it for display.
    """

    code: str
    fault: Fault
    message: str
    advice: str
    retry: Retry = NEVER
    signs: tuple[EvidencePattern, ...] = ()

    def failure(self, detail: str = "") -> Failure:
        """Return the failure to store, with the bounded `detail` in its message if the message has a place for it."""
        bounded = " ".join(detail.split())[:MAX_DETAIL]
        message = self.message.replace("{detail}", bounded or "no further detail")
        return Failure(cause=self.code, fault=self.fault, message=message, advice=self.advice)
