"""Collects the evidence of a failed attempt, and diagnoses it by the table in `leaderboard.failures`.

Evidence is scrubbed of this machine's folders and secrets before it leaves the machine.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace

from leaderboard import failures
from leaderboard.attempts import Failure
from leaderboard.evidence import MAX_CHAIN, MAX_ERRNO, MAX_NAME, MAX_TAIL, MAX_TEXT, FailureEvidence
from leaderboard.jsontext import storable
from workers import errors
from workers.common.scrub import scrub


def diagnose(evidence: FailureEvidence) -> Failure:
    """Diagnose the failure: cause, fault and detail."""
    return failures.diagnose(evidence).failure(scrub(failure_detail(evidence)))


def failure_detail(evidence: FailureEvidence) -> str:
    """The most telling line: the exception's first one, else how the process ended, else the log's last one.

    Errors of `workers.errors` are complete sentences. Others get their type in front: `'added_tokens'` alone says too
    little.
    """
    lines = _lines(evidence.text)
    if lines:
        is_own_error = not evidence.names or hasattr(errors, evidence.names[0])
        return lines[0] if is_own_error else f"{evidence.names[0]}: {lines[0]}"
    if evidence.names:
        return evidence.names[0]
    if evidence.signal:
        memory = f"; it had held {evidence.peak_bytes >> 20} MiB at most" if evidence.peak_bytes else ""
        return f"the process was ended by {signal_name(evidence.signal)}{memory}"
    if evidence.exit_status:
        return f"the process ended with status {evidence.exit_status}"
    last = _lines(evidence.log_tail)
    return last[-1] if last else ""


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; `signal 99` for a number without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def evidence_of(error: BaseException, phase: str, log_tail: str = "") -> FailureEvidence:
    """The evidence of a caught exception, with the types of the exceptions that led to it."""
    name, text = type(error).__qualname__[:MAX_NAME], storable(str(error))[:MAX_TEXT]
    return FailureEvidence(
        phase, name, text, exception_chain(error), log_tail=log_tail[-MAX_TAIL:], errno=errno_of(error)
    )


def exception_chain(error: BaseException) -> tuple[str, ...]:
    """Bare names of the types of the exceptions that led to `error`, nearest first."""
    return tuple(type(cause).__qualname__[:MAX_NAME] for cause in causes(error))


def errno_of(error: BaseException) -> int | None:
    """The errno of `error`, or of the nearest exception that led to it and has one."""
    numbers = (cause.errno for cause in (error, *causes(error)) if isinstance(cause, OSError))
    # A library may set `errno` to any value.
    return next((number for number in numbers if type(number) is int and 0 < number <= MAX_ERRNO), None)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The exceptions that led to `error`, nearest first, MAX_CHAIN at most: the chain may be a circle."""
    cause = error.__cause__ or error.__context__
    for _ in range(MAX_CHAIN):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__


def scrubbed_evidence(evidence: FailureEvidence, secrets: Iterable[str]) -> FailureEvidence:
    """The evidence as it may leave this machine: scrubbed, and cut to its limits."""
    secret_values = tuple(secrets)
    text, tail = (scrub(storable(part), secret_values) for part in (evidence.text, evidence.log_tail))
    return replace(evidence, text=text[:MAX_TEXT], log_tail=tail[-MAX_TAIL:])
