"""`/metrics` for Prometheus: the whole board on one page, whichever process answers, from Redis alone.

Nothing is kept in the web server: counters lie in Redis (`redis_state.meters`), so several of them tell the same.
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
from leaderboard.tiers import TIERS
from redis_state.board.catalog import STATUSES
from redis_state.redis import text

HOUR = 3600.0
COUNTERS = {
    "syncs": ("Syncs, by the kind of key and by how they ended: done, failed or parked.", ("kind", "end")),
    "hub_calls": ("HTTP requests of the sync processes to the Hub.", ("route",)),
    "attempts_ended": ("Attempts that ended, by cause; `none` where all went well.", ("cause",)),
}
GAUGES = {
    "hub_calls_left": ("Calls left in the Hub's present window, as its newest answer told.", ("resource",)),
    "hub_calls_quota": ("Calls that the Hub grants in one window.", ("resource",)),
}


class BoardMetrics(Collector):
    """Reads all figures of one board when it is asked."""

    def __init__(self, context: BoardContext) -> None:
        self._desk = context

    def collect(self) -> Iterator[Metric]:
        yield from _counted(self._desk)
        yield from _intake(self._desk)
        yield from _hub(self._desk)
        yield from _writes(self._desk)
        yield from _queue(self._desk)
        yield from _workers(self._desk)
        yield from _redis(self._desk)


def metric_routes(context: BoardContext) -> APIRouter:
    """The route of one board."""
    registry = CollectorRegistry()
    registry.register(_Lazy(BoardMetrics(context)))
    routes = APIRouter(include_in_schema=False)

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return routes


class _Lazy(Collector):
    """Spares the reading that the registry does only to learn the names of what it registers."""

    def __init__(self, inner: Collector) -> None:
        self._inner = inner

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        yield from self._inner.collect()


def _gauge(name: str, words: str, values: Sequence[tuple[Sequence[str], float]], labels: Sequence[str] = ()) -> Metric:
    family = GaugeMetricFamily(f"steward_{name}", words, labels=labels)
    for names, value in values:
        family.add_metric(list(names), value)
    return family


def _counted(context: BoardContext) -> Iterator[Metric]:
    known = list(context.meters.all())
    for name, (words, labels) in COUNTERS.items():
        counter = CounterMetricFamily(f"steward_{name}", words, labels=labels)
        for (found, *values), value in known:
            if found == name and len(values) == len(labels):
                counter.add_metric(values, value)
        yield counter
    for name, (words, labels) in GAUGES.items():
        fitting = [(tuple(rest), value) for (found, *rest), value in known if found == name and len(rest) == 1]
        yield _gauge(name, words, fitting, labels)


def _intake(context: BoardContext) -> Iterator[Metric]:
    counter = CounterMetricFamily("steward_deliveries", "Deliveries, by what was made of them.", labels=["verdict"])
    for verdict, count in context.redis.hgetall(context.keys.inbox_counts).items():
        counter.add_metric([text(verdict)], float(count))
    yield counter
    keys = context.keys
    yield _gauge("dirty_keys", "Keys that wait for their sync, or for its next try.", [((), len(context.dirty))])
    yield _gauge("failing_keys", "Keys whose last sync failed.", [((), context.redis.hlen(keys.dirty_tries))])
    yield _gauge("parked_syncs", "Syncs that failed too often.", [((), context.redis.hlen(keys.parked))])
    polling = context.redis.exists(keys.poll, keys.webhook_trouble)
    yield _gauge("polling", "1 while webhooks cannot be relied on.", [((), float(bool(polling)))])


def _hub(context: BoardContext) -> Iterator[Metric]:
    answered, failed = context.redis.hmget(context.keys.hub_state, ["answered", "failed"])
    yield _gauge("hub_answered_seconds", "When the Hub last answered a sync.", [((), float(answered or 0))])
    yield _gauge("hub_failed_seconds", "When the Hub last failed a sync.", [((), float(failed or 0))])


def _writes(context: BoardContext) -> Iterator[Metric]:
    shared = (context.requests, context.results, context.logs, context.flags_repo, context.contents)
    repos = [repo for repo in shared if repo is not None]
    now = context.now()
    made = [
        ((repo.id,), float(context.redis.zcount(context.keys.commits(repo.id), now - HOUR, "+inf"))) for repo in repos
    ]
    yield _gauge("commits_hour", "Commits that the bot made within the last hour.", made, ["repo"])
    staged = [((repo.id,), float(context.redis.hlen(context.keys.edits(repo.id)))) for repo in repos]
    yield _gauge("edits_staged", "Edits that wait for the next commit.", staged, ["repo"])


def _queue(context: BoardContext) -> Iterator[Metric]:
    counts = [((status,), float(context.redis.zcard(context.keys.catalog("status", status)))) for status in STATUSES]
    yield _gauge("requests", "Requests, by the word in their file.", counts, ["status"])
    line = take_snapshot(context)
    waiting = [((tier,), float(sum(one.tier == tier for one in line.turns))) for tier in TIERS]
    yield _gauge("waiting", "Requests that wait for their turn.", waiting, ["tier"])
    yield _gauge(
        "held", "Requests that a hold, pause or budget keeps back.", [((), len(line.waiting) - len(line.turns))]
    )
    waited = max((context.now() - one.submitted for one in line.turns), default=0.0)
    yield _gauge("running", "Attempts that run.", [((), len(line.running))])
    yield _gauge("oldest_wait_seconds", "How long the request waits that waits longest.", [((), waited)])


def _workers(context: BoardContext) -> Iterator[Metric]:
    alive = context.workers.alive(now=context.now())
    busy = sum(bool(card.doing) for card in alive)
    states = [(("busy",), float(busy)), (("idle",), float(len(alive) - busy))]
    yield _gauge("workers", "Workers that live, by whether they evaluate.", states, ["state"])


def _redis(context: BoardContext) -> Iterator[Metric]:
    try:
        used = context.redis.info("memory")
    except ResponseError:
        return  # a server that is somebody else's may not tell; nobody shall miss all other figures for that
    yield _gauge("redis_memory_bytes", "Memory that the queue server uses.", [((), float(used["used_memory"]))])
    yield _gauge("redis_memory_limit_bytes", "What it may use; 0: no limit.", [((), float(used.get("maxmemory", 0)))])
