"""Reads which rules a model passes or fails in the answer to a check."""

from __future__ import annotations

from typing import Any


def outcomes(answer: Any) -> dict[str, str]:
    """Return rule → outcome."""
    return {rule["rule"]: rule["outcome"] for rule in answer["rules"]}


def failing(answer: Any) -> set[str]:
    """Return the rules that failed."""
    return {rule for rule, outcome in outcomes(answer).items() if outcome == "failed"}
