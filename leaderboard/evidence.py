"""The evidence of a failed attempt, and the patterns that identify causes in it.

A worker records the evidence: an exception, the exit status, the reason for stopping the child, the phase, the end of
the log, memory use. A pattern is a predicate over the evidence.

Its texts are untrusted: a library's message quotes the model's config, and a template raises any message. A cause
that is not the model's must therefore rest on what a model cannot write: the types of exceptions, their errno, the
phase, how the process ended, or the fixed beginning of one type's message (`begins`); never on `text_matches` or
`logged` alone.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

MAX_TEXT = 4_000
MAX_TAIL = 4_000
"""Characters of an exception's text, and of the end of a log."""
MAX_LINES, MAX_LINE_CHARS = 6, 240
"""Log lines that a thread quotes, and characters of each."""
_SEARCHED_LINES = 2_000
"""Lines at the end of a log that are searched for errors."""
MAX_NAME, MAX_CHAIN = 200, 8
"""Characters of the name of an exception's type, and exceptions in the chain of its causes."""
MAX_ERRNO = 4_095
"""The highest number that the kernel gives to an error."""
UNWALLED, UNFORKED = 70, 71
"""Exit statuses of a child whose isolation could not be set up, and of a child that could not be forked."""

_ERROR = re.compile(
    r"^(\s*(?:E\s+)?[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Warning|Fault)\b.*"
    r"|.*\b(?:[Oo]ut of memory|OOM|[Kk]illed|[Nn]o space left|CUDA error|NCCL|[Ss]egmentation fault)\b.*"
    r"|.*\b(?:error|fatal|failed)\b\s*[:\-].*)$"
)
_NOISE = re.compile(r"^\s*(?:File \".*\", line \d+|\^+|~+|Traceback \(most recent call last\):|During handling of|$)")
_PROGRESS = re.compile(r"\d{1,3}%\|.*\||\bit/s\b|\bs/it\b")

Name = Annotated[str, Field(max_length=MAX_NAME)]


@dataclass(frozen=True)
class FailureEvidence:
    """The evidence of one failed attempt.

    `phase` is claim, download, start, load, prepare, evaluate, score or publish. `exception` is the dotted or bare name
    of the exception's type; `chain` holds the names of its causes. `stopped` is set if the worker itself ended the
    attempt: `time-limit`, `stalled`, `cancelled`, `memory-limit`, `spool-limit`, `flood`, `forged`, `handed-back`.
    `peak_bytes` is the peak memory of the child, 0 if unknown. `errno` is that of the exception or of its nearest cause
    that has one.
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
    errno: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Bare names of the exception and of its causes."""
        return tuple(name.rpartition(".")[2] for name in (self.exception, *self.chain) if name)

    @property
    def silent(self) -> bool:
        """Whether there is neither an exception nor a reason from the worker."""
        return not self.exception and not self.stopped


@dataclass(frozen=True)
class EvidencePattern:
    """A predicate over evidence; `words` describes it in docs/diagnosis.md."""

    words: str
    fits: Callable[[FailureEvidence], bool]


def raised(*names: str, phases: tuple[str, ...] = ()) -> EvidencePattern:
    """Match an exception, or one of its causes, with one of `names` (in one of `phases`, if given)."""
    wanted = set(names)
    return EvidencePattern(
        f"raises {', '.join(names)}{_phase_words(phases)}",
        lambda e: bool(wanted & set(e.names)) and _in_phases(e, phases),
    )


def text_matches(pattern: str, phases: tuple[str, ...] = ()) -> EvidencePattern:
    """Match `pattern` in the exception's text, ignoring case (in one of `phases`, if given)."""
    expression = re.compile(pattern, re.IGNORECASE)
    return EvidencePattern(
        f"says /{pattern}/{_phase_words(phases)}", lambda e: bool(expression.search(e.text)) and _in_phases(e, phases)
    )


def begins(names: tuple[str, ...], pattern: str, phases: tuple[str, ...] = ()) -> EvidencePattern:
    """Match an exception with one of `names` whose own text begins with `pattern`, ignoring case."""
    expression = re.compile(pattern, re.IGNORECASE)
    return EvidencePattern(
        f"raises {', '.join(names)} that begins with /{pattern}/{_phase_words(phases)}",
        lambda e: e.exception.rpartition(".")[2] in names and bool(expression.match(e.text)) and _in_phases(e, phases),
    )


def system_error(*numbers: int) -> EvidencePattern:
    """Match an exception that one of these errors of the operating system caused."""
    return EvidencePattern(
        f"fails with “{'”, “'.join(os.strerror(number) for number in numbers)}”", lambda e: e.errno in numbers
    )


def logged(pattern: str, phases: tuple[str, ...]) -> EvidencePattern:
    """Match `pattern` in the end of the log, in one of `phases`."""
    expression = re.compile(pattern)
    return EvidencePattern(
        f"logs /{pattern}/{_phase_words(phases)}",
        lambda e: bool(expression.search(e.log_tail)) and _in_phases(e, phases),
    )


def stopped(*reasons: str) -> EvidencePattern:
    """Match an attempt that the worker itself ended for one of `reasons`."""
    return EvidencePattern(f"was stopped: {', '.join(reasons)}", lambda e: e.stopped in reasons)


def killed(*signals: signal.Signals) -> EvidencePattern:
    """Match a silent child ended by one of `signals`; a shell reports signal n as exit status 128+n."""
    names = ", ".join(number.name for number in signals)
    return EvidencePattern(
        f"was ended by {names}", lambda e: e.silent and (e.signal in signals or _status(e) - 128 in signals)
    )


def exited(*statuses: int) -> EvidencePattern:
    """Match a silent child that ended with one of `statuses`."""
    return EvidencePattern(
        f"ended with status {', '.join(map(str, statuses))}", lambda e: e.silent and e.exit_status in statuses
    )


def both(first: EvidencePattern, second: EvidencePattern) -> EvidencePattern:
    """Match if both patterns match."""
    return EvidencePattern(f"{first.words}, and {second.words}", lambda e: first.fits(e) and second.fits(e))


def allocation_refused(limit: int) -> EvidencePattern:
    """Match a refused allocation of `limit` bytes or more."""
    expression = re.compile(
        r"(?:tried to allocate|allocate memory:.{0,60}?|unable to allocate) (\d{1,30}) bytes", re.IGNORECASE
    )

    def fits(evidence: FailureEvidence) -> bool:
        match = expression.search(evidence.text)
        return match is not None and int(match[1]) >= limit

    return EvidencePattern(f"asks for {limit >> 40} TiB or more at once", fits)


def anything_raised(*phases: str) -> EvidencePattern:
    """Match any exception in one of `phases`."""
    return EvidencePattern(f"raises anything{_phase_words(phases)}", lambda e: bool(e.exception) and e.phase in phases)


def _in_phases(evidence: FailureEvidence, phases: tuple[str, ...]) -> bool:
    return not phases or evidence.phase in phases


def _phase_words(phases: tuple[str, ...]) -> str:
    return f" in {', '.join(phases)}" if phases else ""


def _status(evidence: FailureEvidence) -> int:
    return evidence.exit_status or 0


def decisive_lines(log: str, *, limit: int = MAX_LINES) -> list[str]:
    """Return the last `limit` error lines of `log` in their order, or its last lines if none is an error.

    Threads quote only these lines of a log, which is private and long. They are untrusted text; the caller escapes it.
    """
    lines = [line.rstrip() for line in log.splitlines()[-_SEARCHED_LINES:]]
    shown = [line for line in lines if line.strip() and not _NOISE.match(line) and not _PROGRESS.search(line)]
    errors = list(dict.fromkeys(line.strip() for line in shown if _ERROR.match(line)))
    chosen = errors[-limit:] if errors else [line.strip() for line in shown[-limit:]]
    return [line if len(line) <= MAX_LINE_CHARS else f"{line[:MAX_LINE_CHARS]} …" for line in chosen]
