"""Whether everybody may see a model, and what is kept from the public about the evaluation of one that not all may see.

    public    everything is told
    gated     that there is a request, and its status; no thread, log, reason or samples
    private   nothing at all: to the public it is as if there were no such model

Scores are published all the same, for that is what the request asked for.
"""

from __future__ import annotations

from collections.abc import Iterable

from leaderboard.admission.facts import ModelFacts
from leaderboard.requests import Access, Request

_BY_STRENGTH: tuple[Access, ...] = ("public", "gated", "private")


def strictest(known: Iterable[Access]) -> Access:
    """The one that lets the fewest people see."""
    return max(known, key=_BY_STRENGTH.index, default="public")


def access_in_file(request: Request) -> Access:
    """What the file says: its own words, and what was found out when it was judged last."""
    said = bool(request.path.private or request.file.private)
    return strictest(["private" if said else "public", request.file.steward.access or "public"])


def access_on_hub(request: Request, model: ModelFacts) -> Access:
    """What the Hub says of the model now; a request that calls itself private is taken at its word."""
    if request.path.private or request.file.private or model.is_private or model.availability == "private":
        return "private"
    return "gated" if model.is_gated or model.availability == "gated" else "public"
