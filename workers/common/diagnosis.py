"""What an attempt died of: evidence is gathered here, and judged by the table of `leaderboard.failures`.

Whatever leaves this machine is scrubbed of its folders and secrets first.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import replace

from leaderboard import failures
from leaderboard.attempts import Failure
from leaderboard.evidence import MAX_CHAIN, MAX_NAME, MAX_TAIL, MAX_TEXT, FailureEvidence
from workers import errors
from workers.common.scrub import scrub


def diagnose(evidence: FailureEvidence) -> Failure:
    """What the attempt died of."""
    return failures.diagnose(evidence).failure(scrub(failure_detail(evidence)))


def failure_detail(evidence: FailureEvidence) -> str:
    """The decisive words: the exception's first line, else how the process ended, else the log's last line.

    Our own errors are sentences already; before others' the type is named, for `'added_tokens'` alone says nothing.
    """
    lines = _lines(evidence.text)
    if lines:
        ours = not evidence.names or hasattr(errors, evidence.names[0])
        return lines[0] if ours else f"{evidence.names[0]}: {lines[0]}"
    if evidence.names:
        return evidence.names[0]
    if evidence.signal:
        held = f"; it had held {evidence.peak_bytes >> 20} MiB at most" if evidence.peak_bytes else ""
        return f"the process was ended by {signal_name(evidence.signal)}{held}"
    if evidence.exit_status:
        return f"the process ended with status {evidence.exit_status}"
    last = _lines(evidence.log_tail)
    return last[-1] if last else ""


def _legible(text: str) -> str:
    """`text` as UTF-8 can hold it: names of files may hold what it cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; the number where there is no such name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def evidence_of(error: BaseException, phase: str, log_tail: str = "") -> FailureEvidence:
    """The evidence in an exception that was caught, with the types of all that led to it."""
    name, text = type(error).__qualname__[:MAX_NAME], str(error)[:MAX_TEXT]
    return FailureEvidence(phase, name, text, exception_chain(error), log_tail=log_tail[-MAX_TAIL:])


def exception_chain(error: BaseException) -> tuple[str, ...]:
    """Bare names of the types of what led to `error`, nearest first."""
    chain: list[str] = []
    link = error.__cause__ or error.__context__
    while link is not None and len(chain) < MAX_CHAIN:
        chain.append(type(link).__qualname__[:MAX_NAME])
        link = link.__cause__ or link.__context__
    return tuple(chain)


def scrubbed_evidence(evidence: FailureEvidence, secrets: Iterable[str]) -> FailureEvidence:
    """The evidence as it may be kept elsewhere: scrubbed, and in its bounds."""
    hidden = tuple(secrets)
    text, tail = (scrub(_legible(words), hidden) for words in (evidence.text, evidence.log_tail))
    return replace(evidence, text=text[:MAX_TEXT], log_tail=tail[-MAX_TAIL:])
