"""Removes a model's results and requests from a board reversibly: files are moved, never deleted.

results    -> .steward/removed/{path}.removed: front ends read files that end in `.json`, in dot folders too
request    CANCELLED, with the reason; `steward.removed` keeps the earlier values
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from leaderboard.holds import Hold
from leaderboard.jsontext import edit
from leaderboard.reasons import Problem, Reason, table
from leaderboard.renames import FilePlan
from leaderboard.requests import Request, Status
from leaderboard.steward_facts import OURS, ours_in

ARCHIVE = ".steward/removed/"
SUFFIX = ".removed"
FORMER_ARCHIVE = ".steward/archive/"
"""The archive of earlier versions of Steward, in which files keep their names."""
REMOVED = "removed"
"""The member of `steward` that keeps a request's values from before its removal."""
_SAVED_FACTS = ("results", "kept", "cancelled", "revision", "failure", "log")
_COMMIT = "commit"
"""The member of the saved values that holds the file's field `revision`."""

REASONS = table(
    (
        Reason("nothing", "{model} has nothing on this leaderboard to remove.", "Check the model's name."),
        Reason("not-removed", "{model} was not removed, so there is nothing to restore.", "Check the model's name."),
        Reason(
            "flagged",
            "{model} is flagged, and a removal does not lift a flag.",
            "Appeal against the flag in its discussion first.",
        ),
        Reason(
            "at-work",
            "{path} is {status}, and only requests that have ended can be removed.",
            "Withdraw it first, with /cancel.",
        ),
        Reason("in-the-way", "{path} exists again, so the old file cannot be restored.", "Remove the new file first."),
        Reason("unreadable", "{path} cannot be read as a request.", "Ask a maintainer to check the file."),
        Reason("too-much", "These are more files than I move at once.", "Ask a maintainer to move them."),
    )
)


def part_of(words: Mapping[str, str]) -> str:
    """Return a text for the evaluations of a model that `words` select: "4bit", "Adapter", or both; "" for all."""
    return ", ".join(filter(None, (words.get("precision"), words.get("weight_type"))))


def archived(path: str) -> str:
    """Return the archive path of a removed results file."""
    return f"{ARCHIVE}{path}{SUFFIX}"


def original_path(path: str) -> str | None:
    """Return the path that an archived file had before its removal; None if `path` is in no archive."""
    if path.startswith(FORMER_ARCHIVE):
        return path.removeprefix(FORMER_ARCHIVE)
    is_archived = path.startswith(ARCHIVE) and path.endswith(SUFFIX)
    return path.removeprefix(ARCHIVE).removesuffix(SUFFIX) if is_archived else None


def remove_request(request: Request, why: Hold) -> FilePlan | Problem | None:
    """Return the edit that removes a request, or the problem; None if it is removed already."""
    path, status = str(request.path), request.status
    ours = ours_in(request.fields)
    if REMOVED in ours and status is Status.CANCELLED:
        return None
    if status is None or status.waits or status is Status.RUNNING:
        return REASONS["at-work"].problem(path=path, status=request.file.status)
    saved = {"status": request.file.status, _COMMIT: request.fields.get("revision")}
    saved |= {name: ours.get(name) for name in _SAVED_FACTS}
    facts = {**ours, "results": None, "kept": None, "cancelled": why.model_dump(), REMOVED: saved}
    return _edited(request, Status.CANCELLED.value, facts)


def restore_request(request: Request) -> FilePlan | Problem | None:
    """Return the edit that restores a removed request; None if it was not removed, or was submitted again since.

    A request that was submitted again and withdrawn gets its earlier commit back as well, to which its results belong.
    """
    ours = ours_in(request.fields)
    saved = ours.get(REMOVED)
    if not isinstance(saved, dict) or request.status is not Status.CANCELLED:
        return None
    # Earlier versions saved fewer facts.
    facts = {**ours, **{name: saved[name] for name in _SAVED_FACTS if name in saved}, REMOVED: None}
    return _edited(request, str(saved.get("status", Status.FAILED.value)), facts, revision=saved.get(_COMMIT))


def _edited(request: Request, status: str, facts: Mapping[str, Any], *, revision: str | None = None) -> FilePlan:
    path = str(request.path)
    present = {name: value for name, value in facts.items() if value is not None}
    fields = {"status": status, **({"revision": revision} if isinstance(revision, str) else {}), OURS: present}
    data = edit(request.raw, fields).encode()
    return FilePlan(path, path, request.raw.encode(), data)


def belongs(path: str, data: bytes, request: Request) -> bool:
    """Whether a results file belongs to this request; all precisions of a model share a folder."""
    ours = request.file.steward
    saved = (ours.model_extra or {}).get(REMOVED)
    if path in (ours.results, saved.get("results") if isinstance(saved, dict) else None):
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
