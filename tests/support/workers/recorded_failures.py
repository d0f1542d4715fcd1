"""Evidence of real deaths, kept where STEWARD_RECORD_DEATHS names a file: a JSON object a line."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from leaderboard.attempts import Outcome
from leaderboard.evidence import FailureEvidence
from workers.common.diagnosis import scrubbed_evidence

MAX_KEPT = 1_200


def record(how: str, cause: str, evidence: FailureEvidence | None) -> None:
    """Keep what was seen of a death, and what it was called."""
    file = os.environ.get("STEWARD_RECORD_DEATHS")
    if file is None or evidence is None:
        return
    seen = {
        name: value for name, value in asdict(scrubbed_evidence(evidence, ())).items() if value or name == "exit_status"
    }
    for name in ("text", "log_tail"):
        if name in seen:
            seen[name] = seen[name][-MAX_KEPT:] if name == "log_tail" else seen[name][:MAX_KEPT]
    with Path(file).open("a", encoding="utf-8") as records:
        records.write(json.dumps({"how": how, "cause": cause, "evidence": seen}, ensure_ascii=False) + "\n")


def record_outcome(how: str, outcome: Outcome) -> None:
    """The same of an attempt that ended."""
    if outcome.failure is not None:
        record(how, outcome.failure.cause, outcome.evidence)
