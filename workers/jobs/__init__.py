"""A worker's jobs: taking them from RQ, claiming and running attempts, sending outcomes.

This module defines `evaluate` because RQ jobs in Redis name it as `workers.jobs.evaluate`.
"""

from __future__ import annotations

from typing import Any


def evaluate(message: Any) -> dict[str, Any]:
    """Run the evaluation that `message` describes (`workers.jobs.entry_point`)."""
    from workers.jobs import entry_point

    return entry_point.evaluate(message)
