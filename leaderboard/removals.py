"""Taking a model's results and requests off a board, so that it can be undone: nothing is deleted, everything moves.

results    -> .steward/removed/{path}.removed: front ends read files that end in `.json`, in dot folders too
request    CANCELLED, with the reason; what it said before stands in `steward.removed`
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from leaderboard.holds import Hold
from leaderboard.jsontext import edit
from leaderboard.reasons import Problem, Reason, table
from leaderboard.renames import FilePlan
from leaderboard.requests import OURS, Request, Status, ours_in

ARCHIVE = ".steward/removed/"
SUFFIX = ".removed"
FORMER_ARCHIVE = ".steward/archive/"
"""The archive of earlier versions, in which files have the names that they had."""
REMOVED = "removed"
"""The member of ours that keeps what a request said before its removal."""
_PUT_BY = ("results", "kept", "cancelled")

REASONS = table(
    (
        Reason("nothing", "{model} has nothing on this leaderboard that could be removed.", "Check its name."),
        Reason("not-removed", "{model} was not removed, so there is nothing to restore.", "Check its name."),
        Reason(
            "flagged",
            "{model} is flagged, and a flag is not escaped by a removal.",
            "Plead in the discussion of the flag first.",
        ),
        Reason(
            "at-work",
            "{path} is {status}, and only what came to its end can be removed.",
            "Withdraw it first, with /cancel.",
        ),
        Reason("in-the-way", "{path} is there again, so the old one cannot be put back.", "Remove the new one first."),
        Reason("unreadable", "{path} cannot be read as a request.", "A person has to look at it."),
        Reason("too-much", "That is more than I move at once.", "A person has to look at it."),
    )
)


def part_of(words: Mapping[str, str]) -> str:
    """Which of a model's evaluations `words` mean: "4bit", "Adapter", or both; "" for all of them."""
    return ", ".join(filter(None, (words.get("precision"), words.get("weight_type"))))


def archived(path: str) -> str:
    """Where a file of the results repo is kept once it is removed."""
    return f"{ARCHIVE}{path}{SUFFIX}"


def original_path(path: str) -> str | None:
    """Where an archived file was before its removal; None where `path` is in no archive."""
    if path.startswith(FORMER_ARCHIVE):
        return path.removeprefix(FORMER_ARCHIVE)
    is_archived = path.startswith(ARCHIVE) and path.endswith(SUFFIX)
    return path.removeprefix(ARCHIVE).removesuffix(SUFFIX) if is_archived else None


def remove_request(request: Request, why: Hold) -> FilePlan | Problem | None:
    """What becomes of a request file; None where it is removed already."""
    path, status = str(request.path), request.status
    ours = ours_in(request.fields)
    if REMOVED in ours and status is Status.CANCELLED:
        return None
    if status is None or status.waits or status is Status.RUNNING:
        return REASONS["at-work"].problem(path=path, status=request.file.status)
    kept = {"status": request.file.status, **{name: ours.get(name) for name in _PUT_BY}}
    facts = {**ours, "results": None, "kept": None, "cancelled": why.model_dump(), REMOVED: kept}
    return _edited(request, Status.CANCELLED.value, facts)


def restore_request(request: Request) -> FilePlan | Problem | None:
    """What undoes that; None where it was not removed, or was submitted again since."""
    ours = ours_in(request.fields)
    kept = ours.get(REMOVED)
    if not isinstance(kept, dict) or request.status is not Status.CANCELLED:
        return None
    facts = {**ours, **{name: kept.get(name) for name in _PUT_BY}, REMOVED: None}
    return _edited(request, str(kept.get("status", Status.FAILED.value)), facts)


def _edited(request: Request, status: str, facts: Mapping[str, Any]) -> FilePlan:
    path = str(request.path)
    known = {name: value for name, value in facts.items() if value is not None}
    data = edit(request.raw, {"status": status, OURS: known}).encode()
    return FilePlan(path, path, request.raw.encode(), data)


def belongs(path: str, data: bytes, request: Request) -> bool:
    """Whether a results file is of this very request: all precisions of a model share a folder."""
    ours = request.file.steward
    kept = (ours.model_extra or {}).get(REMOVED)
    if path in (ours.results, kept.get("results") if isinstance(kept, dict) else None):
        return True
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(fields, dict):
        return False
    block, general = fields.get(OURS), fields.get("config_general")
    if isinstance(block, dict) and "request" in block:
        return bool(block["request"] == str(request.path))
    dtype = general.get("model_dtype") if isinstance(general, dict) else None
    config = fields.get("config")
    dtype = dtype or (config.get("model_dtype") if isinstance(config, dict) else None)
    return isinstance(dtype, str) and dtype.removeprefix("torch.") == request.path.precision
