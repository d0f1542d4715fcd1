"""The workers that are alive, each with the request that it evaluates."""

from collections.abc import Mapping

from bot.core.context import BoardContext
from bot.read_models import serializers
from bot.read_models.models import ApiModel, RequestView
from bot.web.board import BoardReader
from bot.web.page import NoQuery, Page
from redis_state.attempts import AttemptState
from redis_state.board.entry import IndexEntry
from redis_state.clock import iso
from redis_state.heartbeats import WorkerCard


class WorkerView(ApiModel):
    """One worker and the request that it evaluates; `request` is null if it is idle or the model is private."""

    name: str
    tiers: list[str]
    devices: str
    versions: dict[str, str]
    since: str
    busy: bool
    request: RequestView | None = None


class WorkersResponse(ApiModel):
    """The workers whose last heartbeat is at most half a minute old."""

    workers: list[WorkerView]


def workers(board: BoardReader, _query: NoQuery) -> WorkersResponse:
    """The workers that are alive, each with the request that it evaluates."""
    context = board.context
    cards = context.workers.alive(now=context.now())
    states = context.attempts.read_all(card.doing for card in cards if card.doing)
    paths = [state.path for state in states.values()]
    entries = dict(zip(paths, context.index.find(paths), strict=True))
    return WorkersResponse(workers=[_worker(context, card, states.get(card.doing), entries) for card in cards])


def _worker(
    context: BoardContext, card: WorkerCard, state: AttemptState | None, entries: Mapping[str, IndexEntry | None]
) -> WorkerView:
    entry = entries.get(state.path) if state is not None else None
    is_public = entry is not None and not entry.is_private
    request = serializers.request(context, entry, state=state) if entry is not None and is_public else None
    return WorkerView(
        name=card.name,
        tiers=list(card.takes),
        devices=card.devices,
        versions=dict(list(card.versions.items())[:20]),
        since=iso(card.since) if 0 < card.since < 1e11 else "",
        busy=bool(card.doing),
        request=request,
    )


PAGE = Page("/workers", "workers", workers, NoQuery, menu="Workers", api_path="/api/workers", summary="Workers")
