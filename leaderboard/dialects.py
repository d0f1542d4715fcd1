"""Recognises request files in other layouts, which Steward leaves unchanged.

oldest         `gpt-neo-1.3B_eval_request_False_False_False.json`: private, 8bit, adapter
moe            `…_Original_{inference framework}_{gpu type}.json`, and fields of these names
low-bit        `….request.json`, or `submitted_by`, `ci_run_id` and the like
portuguese     the common layout with extra reasons and scores inside: read like any other request
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_OLDEST = re.compile(r"_eval_request_(?:True|False)_(?:True|False)_(?:True|False)\.json$")
_LONGER = re.compile(r"_eval_request_(?:True|False)_[^/_]+_[^/_]+_[^/]+\.json$")
_OF_MOE = ("inference_framework", "gpu_type")
_OF_LOW_BIT = ("submitted_by", "submitted_orgs", "ci_run_id", "triggered_time")


def foreign_dialect(path: str, fields: Mapping[str, Any]) -> str | None:
    """Return the layout of a request file that was written for another backend; None for the common layout."""
    if path.endswith(("True.json", "False.json")) and _OLDEST.search(path):
        return "oldest"
    if not fields.keys().isdisjoint(_OF_MOE) and _LONGER.search(path):
        return "moe"
    if path.endswith(".request.json") or sum(map(fields.__contains__, _OF_LOW_BIT)) > 1:
        return "low-bit"
    return None
