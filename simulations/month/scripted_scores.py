"""Reads from a model's name how its evaluation ends, how long it takes, and its score."""

from __future__ import annotations

from zlib import crc32

STEPS = 8
"""Parts of one evaluation, each with a score of its own."""


def fate_of(model: str) -> tuple[str, float]:
    """Return the end of the evaluation of `model` and its seconds; other names succeed at once."""
    parts = model.rsplit("-", 2)
    if len(parts) == 3 and parts[2].isdecimal():
        return parts[1], int(parts[2]) / 10
    return "ok", 0.1


def score_of(model: str) -> float:
    """Return the score that `model` has in every task."""
    return mean([step_score(model, step) for step in range(STEPS)])


def step_score(model: str, step: int) -> float:
    """Return the score of one step of the evaluation of `model`."""
    return crc32(f"{model} {step}".encode()) % 1000 / 1000


def mean(values: list[float]) -> float:
    """Return the mean of scores, rounded."""
    return round(sum(values) / len(values), 6)
