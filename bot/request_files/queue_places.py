"""The place in the queue that the status comment shows for a waiting request: position and start, or what blocks it.

The comment shows the same place until the position crosses a level (`leaderboard.estimates`) or the blocker changes: a
comment that changed with every step of the queue would be edited a hundred times. A request that begins to wait again
gets a new place and a new estimate.
"""

from __future__ import annotations

from dataclasses import replace

from bot.core.context import BoardContext
from bot.read_models.queue_snapshot import take_snapshot
from bot.read_models.serializers import blocker_view
from bot.request_files.status_thread import update_status
from bot.request_files.status_views import view_of
from leaderboard.admission.facts import ModelFacts
from leaderboard.admission.sizes import parameters
from leaderboard.budgets import hours
from leaderboard.dispatch import read_blocker
from leaderboard.estimates import crosses, share_waited
from leaderboard.failures import climbs
from leaderboard.requests import Request
from leaderboard.tiers import larger, size_class, tier_of, weight_bytes
from leaderboard.times import read_time
from redis_state.board.entry import IndexEntry

SOON_SECONDS = 60.0
"""A start that is possible within this time is shown without an earliest time."""


def with_queue_facts(context: BoardContext, entry: IndexEntry, request: Request, facts: ModelFacts) -> IndexEntry:
    """`entry` with what the queue needs: size and base model by the facts about the model, maintainers' rulings."""
    files = sum(file.size or 0 for file in facts.files if file.name.endswith((".safetensors", ".bin")))
    stored = facts.weights.nbytes if facts.weights is not None else None
    counts = (parameters(model, "Original") for model in (facts, facts.base) if model is not None)
    size = weight_bytes(sum(count for count in counts if count) or None, request.path.precision, stored or files)
    tier = tier_of(size, context.board.tiers)
    if any(climbs(cause.rpartition(":")[2]) for cause in request.file.steward.causes):
        taken = {taken for card in context.workers.alive(now=context.now()) for taken in card.takes}
        tier = larger(tier, taken | context.board.backends.keys())
    base_sha = (facts.base.sha or "") if facts.base is not None else ""
    return _with_ruling(without_place(entry), request).changed(
        tier=tier, size=size_class(size), base_model=facts.base_name, base_sha=base_sha
    )


def without_place(entry: IndexEntry) -> IndexEntry:
    """`entry` as of a request that begins to wait: its status comment shows no place yet."""
    return entry if entry.state == "waiting" else entry.changed(place=0, starts=None, why="", foretold=None)


def _with_ruling(entry: IndexEntry, request: Request) -> IndexEntry:
    """`entry` with what maintainers decided about the request."""
    facts = request.file.steward
    return entry.changed(priority=facts.priority or "normal", hold=facts.hold)


def apply_ruling(context: BoardContext, request: Request) -> None:
    """Copy what maintainers decided about a waiting request into its index entry, which dispatch reads."""
    entry = context.index.get(str(request.path))
    ruled = _with_ruling(entry, request)
    if ruled != entry:
        context.index.put(ruled)


def waiting_since(context: BoardContext, request: Request, entry: IndexEntry) -> float:
    """The time since which a request waits: when the bot first accepted it, or the time in its file if Redis was lost
    or it was submitted again."""
    file_time = read_time(request.file.submitted_time)
    if file_time is None:
        return entry.submitted or context.now()
    return max(entry.submitted, min(context.now(), file_time))


def with_announced_place(context: BoardContext, entry: IndexEntry) -> IndexEntry:
    """`entry` with the place that the status comment should show: the present one, unless it must change."""
    if entry.state not in ("waiting", "queued"):
        return entry
    outlook = take_snapshot(context).outlook(entry.path)
    if outlook is None:
        return entry
    position, why = outlook.position or 0, outlook.held.stored if outlook.held is not None else ""
    if why == entry.why and not crosses(entry.place, position):
        return entry
    start = outlook.start
    starts = None
    if start is not None:
        starts = (start.earliest if start.earliest > context.now() + SOON_SECONDS else 0.0, start.latest)
    foretold = entry.foretold
    if why:
        foretold = None  # the length of a hold says nothing about the quality of estimates
    elif foretold is None and outlook.estimated_start is not None:
        foretold = (context.now(), outlook.estimated_start.expected - context.now(), outlook.turn)
    return entry.changed(place=position, starts=starts, why=why, foretold=foretold)


def note_turn_used(context: BoardContext, entry: IndexEntry) -> None:
    """Note that a worker claimed the request: it used a turn of its submitter, and shows how good the estimate was."""
    if entry.state == "running":
        return  # the worker asked a second time
    context.measures.note_claim(entry.submitter, at=context.now())
    if entry.foretold is not None:
        at, expected, turn = entry.foretold
        context.measures.waited(turn, share_waited(expected, context.now() - at))


def show_place(context: BoardContext, entry: IndexEntry, request: Request) -> None:
    """Show the place of a waiting request, or what blocks it, in its status comment."""
    entry = with_announced_place(context, entry)
    view = view_of(context, entry, request, "waiting")
    blocker = read_blocker(entry.why)
    if blocker is None:
        view = replace(view, position=entry.place or None, starts=entry.starts)
    else:
        used_up = hours(context.board.budgets, blocker.what, entry.tier) if blocker.kind == "budget" else 0.0
        held = blocker_view(entry, blocker, context.pauses.all())
        view = replace(view, held=held, tier=entry.tier, budget_hours=used_up)
    context.index.put(merge_announced(context, update_status(context, entry, view, named=request.file.steward.thread)))


def show_cancelled(context: BoardContext, entry: IndexEntry, request: Request) -> None:
    """Show in its thread that a request was withdrawn; a withdrawal is no reason to open a thread."""
    named = request.file.steward.thread
    if entry.thread is None and named is None:
        return
    view = replace(view_of(context, entry, request, "cancelled"), why=request.file.steward.cancelled)
    announced = update_status(context, entry, view, named=named)
    if announced != entry:
        context.index.put(announced)


def merge_announced(context: BoardContext, announced: IndexEntry) -> IndexEntry:
    """The newest entry, which dispatch may have changed meanwhile, with the fields about the status comment."""
    return context.index.get(announced.path).changed(
        thread=announced.thread,
        comment=announced.comment,
        said=announced.said,
        closed=announced.closed,
        place=announced.place,
        starts=announced.starts,
        why=announced.why,
        foretold=announced.foretold,
    )
