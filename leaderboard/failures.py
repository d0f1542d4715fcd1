"""Why attempts fail: one table from evidence to a cause, its fault, one plain sentence, what to do, and retries.

Rows are tried in order and the first of which a sign fits decides, so what is more precise stands above. No row
guesses: what none of them knows is `unknown`, and is listed for maintainers with the end of its log.
"""

from __future__ import annotations

from collections.abc import Iterable

from leaderboard.causes import endings, hub, last, machine, model, weights
from leaderboard.causes.cause import Cause
from leaderboard.evidence import FailureEvidence

UNKNOWN = "unknown"

FAMILIES: dict[str, tuple[Cause, ...]] = {
    "Stopped, or never begun": endings.ROWS,
    "Memory, disk and devices": machine.ROWS,
    "Weights and files": weights.ROWS,
    "Config, tokenizer, precision, chat template, generation": model.ROWS,
    "The Hub, questions, publication": hub.ROWS,
    "What is left": last.ROWS,
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
"""Causes of which evidence was recorded from a real death (`tests/unit/leaderboard/deaths.jsonl`)."""


def table(rows: Iterable[Cause]) -> dict[str, Cause]:
    """The rows by code; a code may stand there once."""
    by_code: dict[str, Cause] = {}
    for row in rows:
        if row.code in by_code:
            raise ValueError(f"two causes are called {row.code}")
        by_code[row.code] = row
    return by_code


CAUSES = table(row for rows in FAMILIES.values() for row in rows)


def diagnose(evidence: FailureEvidence) -> Cause:
    """What the attempt died of; `unknown` where no row fits."""
    return next((row for row in CAUSES.values() if any(sign.fits(evidence) for sign in row.signs)), CAUSES[UNKNOWN])


def cause(code: str) -> Cause:
    """The row of `code`; that of `unknown` for a code that is not in the table (of a newer worker, perhaps)."""
    return CAUSES.get(code, CAUSES[UNKNOWN])


def may_retry(code: str, tried: int) -> float | None:
    """Seconds to wait before the next try of a request whose attempts died `tried` times of `code`; None: leave it."""
    policy = cause(code).retry
    return policy.wait if tried <= policy.times else None


def climbs(code: str) -> bool:
    """Whether the next try of what died of `code` belongs on a larger machine."""
    return cause(code).retry.tier == "larger"
