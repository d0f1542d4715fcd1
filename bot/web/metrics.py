"""`/metrics` for Prometheus: the figures of the whole board, read from Redis.

The web server holds no counters of its own; they are in Redis (`redis_state.meters`), so every web server reports the
same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector
from redis.exceptions import ResponseError

from bot.core.context import BoardContext
from bot.read_models.queue_snapshot import take_snapshot
from leaderboard.backends import LIVE, costs_of
from leaderboard.tiers import TIERS
from redis_state.board.catalog import STATUSES
from redis_state.redis import text

HOUR_SECONDS = 3600.0
COUNTERS = {
    "syncs": ("Syncs, by kind of key and by outcome: done, failed or parked.", ("kind", "end")),
    "hub_calls": ("HTTP requests of the sync processes to the Hub.", ("route",)),
    "attempts_ended": ("Attempts that ended, by cause; `none` for successful ones.", ("cause",)),
}
GAUGES = {
    "hub_calls_left": ("Calls left in the Hub's current window, from its newest answer.", ("resource",)),
    "hub_calls_quota": ("Calls that the Hub grants in one window.", ("resource",)),
}


class BoardMetrics(Collector):
    """Collects all figures of one board on each scrape."""

    def __init__(self, context: BoardContext) -> None:
        self._context = context

    def collect(self) -> Iterator[Metric]:
        yield from _counted(self._context)
        yield from _intake(self._context)
        yield from _hub(self._context)
        yield from _writes(self._context)
        yield from _queue(self._context)
        yield from _workers(self._context)
        yield from _backends(self._context)
        yield from _redis(self._context)


def metric_routes(context: BoardContext) -> APIRouter:
    """The route of one board."""
    registry = CollectorRegistry()
    registry.register(BoardMetrics(context))
    routes = APIRouter(include_in_schema=False)

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return routes


def _gauge(name: str, help: str, values: Sequence[tuple[Sequence[str], float]], labels: Sequence[str] = ()) -> Metric:
    family = GaugeMetricFamily(f"steward_{name}", help, labels=labels)
    for names, value in values:
        family.add_metric(list(names), value)
    return family


def _counted(context: BoardContext) -> Iterator[Metric]:
    meters = list(context.meters.all())
    for name, (help, labels) in COUNTERS.items():
        counter = CounterMetricFamily(f"steward_{name}", help, labels=labels)
        for (meter, *values), value in meters:
            if meter == name and len(values) == len(labels):
                counter.add_metric(values, value)
        yield counter
    for name, (help, labels) in GAUGES.items():
        gauges = [(tuple(values), value) for (meter, *values), value in meters if meter == name and len(values) == 1]
        yield _gauge(name, help, gauges, labels)


def _intake(context: BoardContext) -> Iterator[Metric]:
    counter = CounterMetricFamily("steward_deliveries", "Deliveries, by verdict.", labels=["verdict"])
    for verdict, count in context.redis.hgetall(context.keys.inbox_counts).items():
        counter.add_metric([text(verdict)], float(count))
    yield counter
    keys = context.keys
    yield _gauge("dirty_keys", "Keys that wait for their sync or its next retry.", [((), len(context.dirty))])
    yield _gauge("failing_keys", "Keys whose last sync failed.", [((), context.redis.hlen(keys.dirty_tries))])
    yield _gauge("parked_syncs", "Syncs that failed too often.", [((), context.redis.hlen(keys.parked))])
    polling = context.redis.exists(keys.poll, keys.webhook_trouble)
    yield _gauge("polling", "1 while webhooks cannot be relied on.", [((), float(bool(polling)))])


def _hub(context: BoardContext) -> Iterator[Metric]:
    times = context.redis.hmget(context.keys.hub_state, ["answered", "failed", "synced"])
    answered, failed, synced = (float(at or 0) for at in times)
    ended = max(answered, failed, synced)
    yield _gauge("hub_answered_seconds", "Time of the Hub's last answer to a sync.", [((), answered)])
    yield _gauge("hub_failed_seconds", "Time of the last sync that the Hub failed.", [((), failed)])
    yield _gauge("sync_ended_seconds", "Time of the last end of a sync, also without calls to the Hub.", [((), ended)])


def _writes(context: BoardContext) -> Iterator[Metric]:
    shared = (context.requests, context.results, context.logs, context.flags_repo, context.contents)
    repos = [repo for repo in shared if repo is not None]
    now = context.now()
    commits = [
        ((repo.id,), float(context.redis.zcount(context.keys.commits(repo.id), now - HOUR_SECONDS, "+inf")))
        for repo in repos
    ]
    yield _gauge("commits_hour", "Commits of the bot within the last hour.", commits, ["repo"])
    staged = [((repo.id,), float(context.redis.hlen(context.keys.edits(repo.id)))) for repo in repos]
    yield _gauge("edits_staged", "Edits that wait for the next commit.", staged, ["repo"])


def _queue(context: BoardContext) -> Iterator[Metric]:
    counts = [((status,), float(context.redis.zcard(context.keys.catalog("status", status)))) for status in STATUSES]
    yield _gauge("requests", "Requests, by the status in their file.", counts, ["status"])
    queue = take_snapshot(context)
    waiting = [((tier,), float(sum(turn.tier == tier for turn in queue.turns))) for tier in TIERS]
    yield _gauge("waiting", "Requests that wait for their turn.", waiting, ["tier"])
    held = len(queue.waiting) - len(queue.turns)
    yield _gauge("held", "Requests that a hold, pause or budget holds back.", [((), held)])
    oldest = max((context.now() - turn.submitted for turn in queue.turns), default=0.0)
    yield _gauge("running", "Attempts that run.", [((), len(queue.running))])
    yield _gauge(
        "attempts_open", "Attempts that wait for a worker, or run.", [((), len(queue.turns) + len(queue.running))]
    )
    yield _gauge("oldest_wait_seconds", "Time since the submission of the oldest waiting request.", [((), oldest)])


def _workers(context: BoardContext) -> Iterator[Metric]:
    alive = context.workers.alive(now=context.now())
    busy = sum(bool(card.doing) for card in alive)
    states = [(("busy",), float(busy)), (("idle",), float(len(alive) - busy))]
    yield _gauge("workers", "Workers that are alive, busy or idle.", states, ["state"])


def _backends(context: BoardContext) -> Iterator[Metric]:
    backends, now = context.board.backends, context.now()
    runs = {tier: context.backend_runs.read(tier) for tier in backends}
    costs = {tier: costs_of(backend, runs[tier], now) for tier, backend in backends.items()}
    live = [
        ((tier, stage), float(sum(run.stage == stage for run in runs[tier])))
        for tier in backends
        for stage in sorted(LIVE)
    ]
    yield _gauge("backend_runs", "Live runs of worker backends.", live, ["tier", "stage"])
    spent = [((tier, "day"), cost.day) for tier, cost in costs.items()]
    spent += [((tier, "month"), cost.month) for tier, cost in costs.items()]
    yield _gauge("backend_spent", "Cost of a backend's runs in 24 hours and in 30 days.", spent, ["tier", "window"])
    limits = [((tier, "day"), backend.costs.by_day) for tier, backend in backends.items()]
    limits += [((tier, "month"), backend.costs.by_month) for tier, backend in backends.items()]
    bounded = [(names, limit) for names, limit in limits if limit is not None]
    yield _gauge("backend_limit", "What the runs may cost in that time.", bounded, ["tier", "window"])
    troubled = {trouble.tier for trouble in context.backend_runs.troubles() if trouble.is_told(now)}
    troubles = [((tier,), float(tier in troubled)) for tier in backends]
    yield _gauge("backend_trouble", "1 while a backend's attempts cannot run.", troubles, ["tier"])


def _redis(context: BoardContext) -> Iterator[Metric]:
    try:
        used = context.redis.info("memory")
    except ResponseError:
        return  # a hosted server may forbid the command; the other figures are reported nevertheless
    limit = float(used.get("maxmemory", 0))
    yield _gauge("redis_memory_bytes", "Memory that the queue server uses.", [((), float(used["used_memory"]))])
    yield _gauge("redis_memory_limit_bytes", "Memory that the queue server may use; 0: no limit.", [((), limit)])
