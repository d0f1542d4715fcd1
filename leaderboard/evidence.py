"""What is known of an attempt's death, and the signs that causes are recognised by.

Evidence is what a worker saw: an exception, how a process ended, why it was stopped, in which phase, the end of the
log, readings of memory. Its words are a stranger's. A sign is a question to it that is answered by yes or no.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

MAX_TEXT = 4_000
MAX_TAIL = 4_000
"""Characters of an exception's text, and of the end of a log."""
MAX_NAME, MAX_CHAIN = 200, 8
"""Characters of the name of an exception's type, and how far the chain of its causes is followed."""
UNWALLED, UNFORKED = 70, 71
"""Statuses with which a child ends whose walls did not go up, or that could not so much as try."""

Name = Annotated[str, Field(max_length=MAX_NAME)]


@dataclass(frozen=True)
class FailureEvidence:
    """What is known of a death.

    `phase` is where it happened: claim, download, start, load, prepare, evaluate, score, publish. `exception` is the
    dotted or bare name of the exception's type and `chain` those of its causes. `stopped` is set where the worker
    itself ended the attempt: `time-limit`, `stalled`, `cancelled`, `memory-limit`, `spool-limit`, `flood`, `forged`,
    `handed-back`.
    `peak_bytes` is the most memory that the child held, 0 where it is not known.
    """

    phase: Name
    exception: Name = ""
    text: Annotated[str, Field(max_length=MAX_TEXT)] = ""
    chain: Annotated[tuple[Name, ...], Field(max_length=MAX_CHAIN)] = ()
    exit_status: int | None = None
    signal: int | None = None
    stopped: Name = ""
    log_tail: Annotated[str, Field(max_length=MAX_TAIL)] = ""
    peak_bytes: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Bare names of the exception and of its causes."""
        return tuple(name.rpartition(".")[2] for name in (self.exception, *self.chain) if name)

    @property
    def silent(self) -> bool:
        """Whether nobody said anything: no exception, and no reason of the worker's."""
        return not self.exception and not self.stopped


@dataclass(frozen=True)
class EvidencePattern:
    """A question to the evidence; `words` say it for people who read the table."""

    words: str
    fits: Callable[[FailureEvidence], bool]


def raised(*names: str, phases: tuple[str, ...] = ()) -> EvidencePattern:
    """The exception, or one of its causes, is called one of `names` (and it happened in one of `phases`)."""
    wanted = set(names)
    return EvidencePattern(
        f"raises {', '.join(names)}{_phase_words(phases)}",
        lambda e: bool(wanted & set(e.names)) and _in_phases(e, phases),
    )


def text_matches(pattern: str, phases: tuple[str, ...] = ()) -> EvidencePattern:
    """The exception's text matches `pattern`, whatever the case (and it happened in one of `phases`)."""
    found = re.compile(pattern, re.IGNORECASE)
    return EvidencePattern(
        f"says /{pattern}/{_phase_words(phases)}", lambda e: bool(found.search(e.text)) and _in_phases(e, phases)
    )


def logged(pattern: str, phases: tuple[str, ...]) -> EvidencePattern:
    """The end of the log matches `pattern` (in one of `phases`)."""
    found = re.compile(pattern)
    return EvidencePattern(
        f"logs /{pattern}/{_phase_words(phases)}", lambda e: bool(found.search(e.log_tail)) and _in_phases(e, phases)
    )


def stopped(*reasons: str) -> EvidencePattern:
    """The worker ended the attempt itself, for one of `reasons`."""
    return EvidencePattern(f"was stopped: {', '.join(reasons)}", lambda e: e.stopped in reasons)


def killed(*signals: signal.Signals) -> EvidencePattern:
    """A signal ended the child, which said nothing; 128+n is how a shell, or the kernel's helper, says the same."""
    names = ", ".join(one.name for one in signals)
    return EvidencePattern(
        f"was ended by {names}", lambda e: e.silent and (e.signal in signals or _status(e) - 128 in signals)
    )


def exited(*statuses: int) -> EvidencePattern:
    """The child ended with one of `statuses`, and said nothing."""
    return EvidencePattern(
        f"ended with status {', '.join(map(str, statuses))}", lambda e: e.silent and e.exit_status in statuses
    )


def both(first: EvidencePattern, second: EvidencePattern) -> EvidencePattern:
    """Both of them."""
    return EvidencePattern(f"{first.words}, and {second.words}", lambda e: first.fits(e) and second.fits(e))


def allocation_refused(limit: int) -> EvidencePattern:
    """One allocation of `limit` bytes or more was refused."""
    asked = re.compile(
        r"(?:tried to allocate|allocate memory:.{0,60}?|unable to allocate) (\d{1,30}) bytes", re.IGNORECASE
    )

    def fits(evidence: FailureEvidence) -> bool:
        found = asked.search(evidence.text)
        return found is not None and int(found[1]) >= limit

    return EvidencePattern(f"asks for {limit >> 40} TiB or more at once", fits)


def anything_raised(*phases: str) -> EvidencePattern:
    """Any exception in one of `phases`."""
    return EvidencePattern(f"raises anything{_phase_words(phases)}", lambda e: bool(e.exception) and e.phase in phases)


def _in_phases(evidence: FailureEvidence, phases: tuple[str, ...]) -> bool:
    return not phases or evidence.phase in phases


def _phase_words(phases: tuple[str, ...]) -> str:
    return f" in {', '.join(phases)}" if phases else ""


def _status(evidence: FailureEvidence) -> int:
    return evidence.exit_status or 0
