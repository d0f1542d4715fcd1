"""The visibility of a model, and how much of its evaluation is public.

    public    everything
    gated     the request and its status; no thread, log, reason or samples
    private   nothing: to the public, the model does not exist

Scores are published in every case, because the request asked for that.
"""

from __future__ import annotations

from collections.abc import Iterable

from leaderboard.admission.facts import ModelFacts
from leaderboard.requests import Request
from leaderboard.steward_facts import Access

_BY_STRENGTH: tuple[Access, ...] = ("public", "gated", "private")


def strictest(known: Iterable[Access]) -> Access:
    """Return the most restrictive access."""
    return max(known, key=_BY_STRENGTH.index, default="public")


def access_in_file(request: Request) -> Access:
    """Return the access that the request file states, including the result of the last admission."""
    if request.path.private or request.file.private:
        return "private"
    return request.file.steward.access or "public"


def access_on_hub(request: Request, model: ModelFacts) -> Access:
    """Return the access that the Hub reports now; a request that declares the model private counts as private."""
    if request.path.private or request.file.private or model.is_private or model.availability == "private":
        return "private"
    return "gated" if model.is_gated or model.availability == "gated" else "public"
