"""What a waiting request is told of its place: position and start, or what holds it back.

Told once, it stays as it was told until the position crosses a level (`leaderboard.places`) or the reason changes: a
comment that changed with every step of the queue would be rewritten a hundred times. Who waits anew is told anew: a
start that was worked out for an earlier wait is nobody's experience of this one.
"""

from __future__ import annotations

from typing import Any

from bot.core.context import BoardContext
from bot.read_models.queue_snapshot import take_snapshot
from bot.read_models.queue_texts import BlockerDetails
from bot.request_files.status_thread import update_status
from bot.request_files.status_views import view_of
from leaderboard.admission.facts import ModelFacts
from leaderboard.admission.sizes import parameters
from leaderboard.budgets import BudgetKind, hours
from leaderboard.estimates import share_waited
from leaderboard.failures import climbs
from leaderboard.places import crosses
from leaderboard.queue_snapshot import blocker_word
from leaderboard.requests import Request
from leaderboard.tiers import larger, size_class, tier_of, weight_bytes
from leaderboard.times import read_time
from redis_state.board.entry import IndexEntry

SOON = 60.0
"""Seconds within which a start may be at any moment."""


def queue_fields(context: BoardContext, entry: IndexEntry, request: Request, facts: ModelFacts) -> dict[str, Any]:
    """What a request asks of the queue, as fields of its entry: its size, once facts about the model are known."""
    files = sum(file.size or 0 for file in facts.files if file.name.endswith((".safetensors", ".bin")))
    stored = facts.weights.nbytes if facts.weights is not None else None
    counts = (parameters(one, "Original") for one in (facts, facts.base) if one is not None)
    size = weight_bytes(sum(count for count in counts if count) or None, request.path.precision, stored or files)
    tier = tier_of(size, context.board.tiers)
    if any(climbs(what.rpartition(":")[2]) for what in request.file.steward.causes):
        tier = larger(tier, {one for card in context.workers.alive(now=context.now()) for one in card.takes})
    base = {"base_model": facts.base_name, "base_sha": (facts.base.sha or "") if facts.base is not None else ""}
    return {"tier": tier, "size": size_class(size), **base, **ruling_fields(request), **unannounced_fields(entry)}


def unannounced_fields(entry: IndexEntry) -> dict[str, Any]:
    """Nothing was told yet of the place of a request that begins to wait, as fields of its entry."""
    return {} if entry.state == "waiting" else {"place": 0, "starts": None, "why": "", "foretold": None}


def ruling_fields(request: Request) -> dict[str, Any]:
    """What maintainers decided about a request, as fields of its entry."""
    facts = request.file.steward
    return {"priority": facts.priority or "normal", "hold": facts.hold}


def apply_ruling(context: BoardContext, request: Request) -> None:
    """Have dispatch go by what maintainers decided about a request that waits."""
    entry, now = context.index.get(str(request.path)), ruling_fields(request)
    if {name: getattr(entry, name) for name in now} != now:
        context.index.put(entry.model_copy(update=now))


def waiting_since(context: BoardContext, request: Request, entry: IndexEntry) -> float:
    """Since when a request waits: since it was first seen, or, where Redis was lost since, since its file says."""
    said = read_time(request.file.submitted_time)
    return entry.submitted or min(context.now(), said if said is not None else context.now())


def with_announced_place(context: BoardContext, entry: IndexEntry) -> IndexEntry:
    """`entry` with the place that is to be told: the one that was told, unless it is time for another."""
    if entry.state not in ("waiting", "queued"):
        return entry
    outlook = take_snapshot(context).outlook(entry.path)
    if outlook is None:
        return entry
    position, why = outlook.position or 0, blocker_word(outlook.held)
    if why == entry.why and not crosses(entry.place, position):
        return entry
    start = outlook.start
    starts = None
    if start is not None:
        starts = (start.earliest if start.earliest > context.now() + SOON else 0.0, start.latest)
    foretold = entry.foretold
    if why:
        foretold = None  # how long a hold lasts is nobody's experience of the queue
    elif foretold is None and outlook.estimated_start is not None:
        foretold = (context.now(), outlook.estimated_start.expected - context.now(), outlook.turn)
    return entry.model_copy(update={"place": position, "starts": starts, "why": why, "foretold": foretold})


def note_turn_used(context: BoardContext, entry: IndexEntry) -> None:
    """An attempt of the request was claimed: it was its submitter's turn, and tells how good the estimate was."""
    if entry.state == "running":
        return  # its worker asked once more
    context.measures.note_claim(entry.submitter, at=context.now())
    if entry.foretold is not None:
        at, expected, turn = entry.foretold
        context.measures.waited(turn, share_waited(expected, context.now() - at))


def place_fields(context: BoardContext, entry: IndexEntry) -> dict[str, Any]:
    """What the status comment says about the place of `entry`, as fields of its view."""
    if entry.why:
        return {"held": blocker_details(context, entry)}
    return {"position": entry.place or None, "starts": entry.starts}


def tell_place(context: BoardContext, entry: IndexEntry, request: Request) -> None:
    """Show where a waiting request stands, or what holds it back."""
    entry = with_announced_place(context, entry)
    view = view_of(context, entry, request, "waiting", **place_fields(context, entry))
    context.index.put(merge_announced(context, update_status(context, entry, view, named=request.file.steward.thread)))


def tell_cancelled(context: BoardContext, entry: IndexEntry, request: Request) -> None:
    """Show that a request was withdrawn, where its thread is known; it is no reason to open one."""
    named = request.file.steward.thread
    if entry.thread is None and named is None:
        return
    view = view_of(context, entry, request, "cancelled", why=request.file.steward.cancelled)
    told = update_status(context, entry, view, named=named)
    if told != entry:
        context.index.put(told)


def merge_announced(context: BoardContext, told: IndexEntry) -> IndexEntry:
    """What was told, upon an entry that dispatch may have moved on meanwhile."""
    fresh = context.index.get(told.path)
    told_of = ("thread", "comment", "said", "closed", "place", "starts", "why", "foretold")
    return fresh.model_copy(update={name: getattr(told, name) for name in told_of})


def blocker_details(context: BoardContext, entry: IndexEntry) -> BlockerDetails:
    """What holds `entry` back, in what people are told."""
    kind, _, what = entry.why.partition(" ")
    known = {"hold": entry.hold, "pause": context.pauses.all().get(what)}
    hold = known.get(kind)
    limit = hours(context.board.budgets, _whose(what), entry.tier) if kind == "budget" else 0.0
    return BlockerDetails(
        kind=kind,
        what=what,
        tier=entry.tier,
        hours=limit,
        reason=hold.reason if hold is not None else "",
        by=hold.by if hold is not None else "",
    )


def _whose(what: str) -> BudgetKind:
    return "request" if what == "request" else "submitter" if what == "submitter" else "tier"
