"""The table of failure causes: from evidence to a cause, its fault, one sentence, advice, and the retry policy.

The first row with a matching pattern decides, so precise rows come first. No row guesses: a failure that no row matches
is `unknown`, and maintainers see it in a list with the end of its log.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable

from leaderboard.causes import endings, evaluator, hub, machine, model, weights
from leaderboard.causes.cause import AT_ONCE, ONCE, TRIED_AGAIN, Cause
from leaderboard.evidence import EvidencePattern, FailureEvidence, anything_raised, killed

UNKNOWN = "unknown"

_LAST = (
    Cause(
        "child-ended",
        "us",
        "The evaluation was ended from outside: {detail}",
        TRIED_AGAIN,
        AT_ONCE,
        (killed(signal.SIGTERM, signal.SIGINT, signal.SIGHUP),),
    ),
    Cause(
        "left-without-a-word",
        "unknown",
        "The evaluation ended without results and without an error message: {detail}",
        "You don't need to do anything for now: the evaluation is retried once. The maintainers have the log.",
        ONCE,
        (EvidencePattern("ends silently", lambda e: e.silent and e.exit_status is not None),),
    ),
    Cause(
        "harness-error",
        "unknown",
        "The evaluation harness stopped with an error: {detail}",
        "The maintainers have the log. If you know what in the model may cause this error, tell them in the thread.",
        signs=(anything_raised("prepare", "evaluate", "score"),),
    ),
    Cause(
        "unknown",
        "unknown",
        "The evaluation failed for a reason that we do not know yet: {detail}",
        "The maintainers have the log, look into it, and can start the evaluation again.",
    ),
)
"""Failures that no more precise row matches."""

FAMILIES: dict[str, tuple[Cause, ...]] = {
    "Stopped, or never started": endings.ROWS,
    "Memory, disk and devices": machine.ROWS,
    "Evaluators other than lm-eval": evaluator.ROWS,
    "Weights and files": weights.ROWS,
    "Config, tokenizer, precision, chat template, generation": model.ROWS,
    "The Hub, questions, publication": hub.ROWS,
    "Everything else": _LAST,
}


SEEN = frozenset((
    "canary-failed", "cancelled", "chat-template-broken", "chat-template-endless", "chat-template-missing",
    "child-ended", "child-misbehaved", "config-absurd", "config-invalid", "config-missing", "config-unreadable",
    "context-too-large", "context-too-short", "crashed", "dataset-broken", "dataset-changed", "dataset-gated",
    "dataset-unavailable", "disk-full", "generation-endless", "generation-settings", "gpu-lost", "harness-error",
    "hub-access", "hub-error", "hub-rate-limit", "index-unusable", "killed-by-kernel", "left-without-a-word",
    "library-missing", "model-gated", "model-gone", "network", "no-results", "not-a-language-model", "not-a-number",
    "odd-files", "out-of-memory", "publication-refused", "quantisation-unusable", "remote-code-needed",
    "revision-gone", "shard-missing", "stalled", "suite-differs", "task-missing", "time-limit",
    "tokenizer-mismatch", "tokenizer-missing", "tokenizer-unreadable", "too-many-processes", "unknown-architecture",
    "weights-dtype", "weights-header", "weights-incomplete", "weights-missing", "weights-not-finite",
    "weights-pickled", "weights-shape", "weights-truncated", "worker-lost",
))  # fmt: skip
"""Causes with evidence recorded from a real failure (`tests/unit/leaderboard/deaths.jsonl`)."""


def table(rows: Iterable[Cause]) -> dict[str, Cause]:
    """Return the rows by code. Raises ValueError if two rows share a code."""
    by_code: dict[str, Cause] = {}
    for row in rows:
        if row.code in by_code:
            raise ValueError(f"two causes are called {row.code}")
        by_code[row.code] = row
    return by_code


CAUSES = table(row for rows in FAMILIES.values() for row in rows)


def diagnose(evidence: FailureEvidence) -> Cause:
    """Return the cause of a failure; `unknown` if no row matches."""
    return next((row for row in CAUSES.values() if any(sign.fits(evidence) for sign in row.signs)), CAUSES[UNKNOWN])


def cause(code: str) -> Cause:
    """Return the row of `code`; the row `unknown` for a code that is not in the table, as from a newer worker."""
    return CAUSES.get(code, CAUSES[UNKNOWN])


def may_retry(code: str, tried: int) -> float | None:
    """Return seconds to wait before the next attempt after `tried` failures with `code`; None: no further attempt."""
    policy = cause(code).retry
    return policy.wait if tried <= policy.times else None


def fails_always(code: str) -> bool:
    """Whether a failure with `code` ends the request: its model cannot be evaluated at the same commit."""
    return cause(code).fault == "submission" and may_retry(code, 1) is None


def climbs(code: str) -> bool:
    """Whether the next attempt after a failure with `code` needs a larger tier."""
    return cause(code).retry.tier == "larger"
