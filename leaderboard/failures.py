"""The table of failure causes: from evidence to a cause, its fault, one sentence, advice, and the retry policy.

The first row with a matching pattern decides, so precise rows come first. No row guesses: a failure that no row matches
is `unknown`, and maintainers see it in a list with the end of its log.
"""

from __future__ import annotations

from collections.abc import Iterable

from leaderboard.causes import endings, hub, last, machine, model, weights
from leaderboard.causes.cause import Cause
from leaderboard.evidence import FailureEvidence

UNKNOWN = "unknown"

FAMILIES: dict[str, tuple[Cause, ...]] = {
    "Stopped, or never started": endings.ROWS,
    "Memory, disk and devices": machine.ROWS,
    "Weights and files": weights.ROWS,
    "Config, tokenizer, precision, chat template, generation": model.ROWS,
    "The Hub, questions, publication": hub.ROWS,
    "Everything else": last.ROWS,
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


def climbs(code: str) -> bool:
    """Whether the next attempt after a failure with `code` needs a larger tier."""
    return cause(code).retry.tier == "larger"
