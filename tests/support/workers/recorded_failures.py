"""Records the evidence of real failures in the file that STEWARD_RECORD_DEATHS names, one JSON object per line."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

from leaderboard.attempts import Outcome
from leaderboard.evidence import FailureEvidence
from workers.common.diagnosis import scrubbed_evidence

MAX_TEXT_LENGTH = 1_200


def record(how: str, cause: str, evidence: FailureEvidence | None) -> None:
    """Record the evidence of a failure and its diagnosed cause."""
    file = os.environ.get("STEWARD_RECORD_DEATHS")
    if file is None or evidence is None:
        return
    fields = {
        name: value for name, value in asdict(scrubbed_evidence(evidence, ())).items() if value or name == "exit_status"
    }
    for name in ("text", "log_tail"):
        if name in fields:
            fields[name] = fields[name][-MAX_TEXT_LENGTH:] if name == "log_tail" else fields[name][:MAX_TEXT_LENGTH]
    with Path(file).open("a", encoding="utf-8") as records:
        records.write(json.dumps({"how": how, "cause": cause, "evidence": fields}, ensure_ascii=False) + "\n")


def record_outcome(how: str, outcome: Outcome) -> None:
    """Record the failure of an attempt, if it failed."""
    if outcome.failure is not None:
        record(how, outcome.failure.cause, outcome.evidence)
