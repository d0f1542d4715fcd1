"""The workers that are alive, each with the request that it evaluates, and the board's worker backends."""

from collections.abc import Mapping

from bot.core.context import BoardContext
from bot.read_models import serializers
from bot.read_models.models import ApiModel, RequestView
from bot.web.board import BoardReader
from bot.web.page import NoQuery, Page
from leaderboard.backends import LIVE, BackendRun, costs_of
from leaderboard.tiers import TIERS
from redis_state.attempts import AttemptState
from redis_state.board.entry import IndexEntry
from redis_state.clock import iso
from redis_state.heartbeats import WorkerCard

MAX_RUNS = 100
"""Live runs of one backend that are listed."""


class WorkerView(ApiModel):
    """One worker and the request that it evaluates; `request` is null if it is idle or the model is private."""

    name: str
    tiers: list[str]
    devices: str
    versions: dict[str, str]
    since: str
    busy: bool
    request: RequestView | None = None


class BackendRunView(ApiModel):
    """One live run of a backend and the request that it evaluates; `request` is null if the model is private.

    `needed`: false for a run whose attempt is over: it ends, or is cancelled.
    """

    stage: str
    since: str
    needed: bool
    request: RequestView | None = None


class BackendView(ApiModel):
    """A tier's worker backend: its live runs, and what its runs cost, in the currency of the board file."""

    tier: str
    kind: str
    parallel: int
    runs: list[BackendRunView]
    hourly: float
    spent_day: float
    spent_month: float
    mean: float | None
    by_attempt: float | None
    by_day: float | None
    by_month: float | None
    trouble: str


class WorkersResponse(ApiModel):
    """The workers whose last heartbeat is at most half a minute old, and the backends that start a run per attempt."""

    workers: list[WorkerView]
    backends: list[BackendView]


def workers(board: BoardReader, _query: NoQuery) -> WorkersResponse:
    """The workers that are alive, each with the request that it evaluates, and the worker backends."""
    context = board.context
    cards = context.workers.alive(now=context.now())
    states = context.attempts.read_all(card.doing for card in cards if card.doing)
    paths = [state.path for state in states.values()]
    entries = dict(zip(paths, context.index.find(paths), strict=True))
    return WorkersResponse(
        workers=[_worker(context, card, states.get(card.doing), entries) for card in cards],
        backends=_backends(context),
    )


def _backends(context: BoardContext) -> list[BackendView]:
    if not context.board.backends:
        return []
    troubles = {trouble.tier: trouble for trouble in context.backend_runs.troubles()}
    busy = {entry.attempt: entry for entry in context.index.busy() if entry.attempt is not None}
    states = context.attempts.read_all(busy)
    views = []
    for tier in TIERS:
        if (backend := context.board.backends.get(tier)) is None:
            continue
        runs, limits = context.backend_runs.read(tier), backend.costs
        costs = costs_of(backend, runs, context.now())
        live = [run for run in runs if run.stage in LIVE][:MAX_RUNS]
        trouble = troubles.get(tier)
        views.append(
            BackendView(
                tier=tier,
                kind=backend.kind,
                parallel=backend.parallel,
                runs=[_run(context, run, busy.get(run.attempt), states.get(run.attempt)) for run in live],
                hourly=limits.hourly,
                spent_day=round(costs.day, 2),
                spent_month=round(costs.month, 2),
                mean=None if costs.mean is None else round(costs.mean, 2),
                by_attempt=limits.by_attempt,
                by_day=limits.by_day,
                by_month=limits.by_month,
                trouble=trouble.kind if trouble is not None and trouble.is_told(context.now()) else "",
            )
        )
    return views


def _run(
    context: BoardContext, run: BackendRun, entry: IndexEntry | None, state: AttemptState | None
) -> BackendRunView:
    is_public = entry is not None and not entry.is_private
    return BackendRunView(
        stage=run.stage,
        since=iso(run.started or run.created),
        needed=not run.unwanted,
        request=serializers.request(context, entry, state=state) if entry is not None and is_public else None,
    )


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
