"""One row of the table of causes, and the retry policies that rows share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from leaderboard.attempts import Failure, Fault
from leaderboard.evidence import EvidencePattern

MAX_DETAIL = 300

Tier = Literal["same", "larger"]


@dataclass(frozen=True)
class Retry:
    """How often an attempt that died of this may be tried again without anybody asking, after how many seconds, where.

    `tier` larger: on the next tier with more memory, where the board has one.
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

TRIED_AGAIN = "Nothing to do for you: it is tried again."
"""The advice where it is not the submitter's fault, and the retry policy sees to it."""
LOADING = ("load",)
"""The phase in which a model's own files are read."""


@dataclass(frozen=True)
class Cause:
    """One row: `code` is stable, as request files and statistics hold it; `signs` tell it, any one of them.

    `{detail}` in the message is a stranger's word: escape it where it is shown.
    """

    code: str
    fault: Fault
    message: str
    advice: str
    retry: Retry = NEVER
    signs: tuple[EvidencePattern, ...] = ()

    def failure(self, detail: str = "") -> Failure:
        """What is written down: the sentence, with the bounded `detail` where the sentence has room for one."""
        bounded = " ".join(detail.split())[:MAX_DETAIL]
        message = self.message.replace("{detail}", bounded or "no further detail")
        return Failure(cause=self.code, fault=self.fault, message=message, advice=self.advice)
