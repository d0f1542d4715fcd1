"""The board as a whole, for pages and the API alike: results, models, flags, workers, the life of one request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import structlog
from redis.exceptions import RedisError

from bot.core.context import BoardContext
from bot.read_models import serializers
from bot.read_models.lists import QueueReader
from bot.web import board_models as models
from bot.web.board_models import SearchView
from bot.web.charts.comparing import Comparing
from bot.web.charts.models import ComparisonView
from bot.web.charts.times import TimingReader
from bot.web.flags import FlagReader
from bot.web.rows import SORTS, RequestRow, RequestRows, category_of
from bot.web.table import RequestTable
from hub.errors import BadRequest
from hub.records import Repo
from leaderboard.past import Reopening, newest_reopenings
from leaderboard.search import Query, parse
from redis_state.attempts import AttemptState
from redis_state.board.entry import IndexEntry
from redis_state.clock import iso
from redis_state.heartbeats import WorkerCard

log = structlog.get_logger()


class BoardReader:
    """What there is to see of one board."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self.table = RequestTable(context)
        self.pages = QueueReader(context)
        self.columns = [benchmark.name for benchmark in context.suite.benchmarks]
        self.times = TimingReader(context)
        self.comparing = Comparing(self.table)
        self._flags = FlagReader(context.flag_book)

    def warm(self) -> None:
        """Put table and queue in order before anybody looks: at 100,000 rows that takes seconds."""
        try:
            self.table.rows().prepare(self.columns)
            self.results(size=1)
            self.requests(size=1)
            self.pages.queue(limit=1)
            self.comparing.warm()
            self.times.times()
        except RedisError:  # whoever looks first finds it again, and is told
            log.warning("the table could not be read at the start", exc_info=True)

    # --- lists

    def results(
        self,
        *,
        q: str = "",
        sort: str = "average",
        rising: bool = False,
        flagged: bool = False,
        category: str = "",
        precision: str = "",
        page: int = 1,
        size: int,
    ) -> models.ResultsResponse:
        """A page of those that were evaluated; the flagged ones only where `flagged` says so, or the query does."""
        rows, query = self.table.rows(), parse(q)
        sort = sort if sort in (*SORTS, *self.columns) else "average"
        shows = flagged or any(term.column.key == "flagged" for term in query.terms)
        every = rows.once(
            ("evaluated", q, category, precision), lambda: rows.find(query, rows.evaluated_as(category, precision))
        )
        found = every if shows or not rows.flagged else [at for at in every if at not in rows.flagged]
        asked = ("results", q, category, precision, shows, sort, rising)
        order = rows.once(asked, lambda: rows.in_order(found, sort, rising=rising))
        page, pages, part = _page(order, page, size)
        return models.ResultsResponse(
            searched=_searched(rows, q, query, len(found)),
            columns=self.columns,
            results=[scores_view(rows.lines[at], flagged=at in rows.flagged) for at in part],
            flagged=len(every) - len(found),
            page=page,
            pages=pages,
        )

    def requests(self, *, q: str = "", state: str = "", page: int = 1, size: int) -> models.RequestTableResponse:
        """A page of the requests in `state`, newest first; of all of them for ""."""
        rows, query = self.table.rows(), parse(q)
        found = rows.once(("requests", q, state), lambda: rows.find(query, rows.of_state(state)))
        order = rows.once(("newest", q, state), lambda: rows.in_order(found, "time", rising=False))
        page, pages, part = _page(order, page, size)
        entries = self.context.index.find([rows.lines[at].path for at in part])
        told = serializers.summaries(self.context, [one for one in entries if one is not None and not one.is_private])
        return models.RequestTableResponse(
            searched=_searched(rows, q, query, len(found)), requests=told, page=page, pages=pages
        )

    def counts(self) -> dict[str, int]:
        """How many requests have finished, have failed, and are there at all."""
        rows = self.table.rows()
        return {"finished": rows.count("finished"), "failed": rows.count("failed"), "all": len(rows.lines)}

    # --- one request, one model

    def history(self, path: str) -> models.RequestHistoryResponse | None:
        """The request at `path`; None where there is none that the public may know of."""
        entry = self.context.index.find([path])[0]
        if entry is None or entry.is_private:
            return None
        request = serializers.request(self.context, entry)
        tells = entry.standing.access == "public"
        before = newest_reopenings(entry.standing.causes) if tells else ()
        return models.RequestHistoryResponse(
            request=request,
            past=[self._event(request.model, one) for one in before],
            scores=self._scores_of(entry),
            flags=self._flags.of(request.model),
        )

    def model(self, name: str) -> models.ModelResponse | None:
        """All requests for the model, in any case of letters; None where there is none that the public may know of."""
        entries = [one for one in self.context.index.of_model(name) if not one.is_private]
        flags = self._flags.of(name)
        if not entries and not flags:
            return None
        entries.sort(key=lambda one: (-one.time, one.path))
        told = serializers.summaries(self.context, entries)
        called = told[0].model if told else flags[0].model
        scores = [one for one in map(self._scores_of, entries) if one is not None]
        return models.ModelResponse(
            model=called,
            model_url=self._address_of(called),
            requests=told,
            results=scores,
            compared=self.comparing.compared(entries),
            flags=flags,
        )

    def compared(self, name: str) -> ComparisonView | None:
        """The scores of a model beside others; None where there are none that the public may know of."""
        return self.comparing.compared(one for one in self.context.index.of_model(name) if not one.is_private)

    def _address_of(self, model: str) -> str:
        try:
            return self.context.address(Repo("model", model))
        except BadRequest:
            return ""  # whoever wrote the file wrote something else than a name

    def _scores_of(self, entry: IndexEntry) -> models.EvaluationScoresView | None:
        rows = self.table.rows()
        at = rows.at(entry.path)
        return (
            scores_view(rows.lines[at], flagged=at in rows.flagged)
            if at is not None and _has_scores(rows, at)
            else None
        )

    def _event(self, model: str, what: Reopening) -> models.PastEventView:
        log = self.context.address(self.context.logs, f"{model}/{what.attempt}/log.txt") if what.left_log else None
        return models.PastEventView(
            kind=what.kind, attempt=what.attempt, number=what.number, cause=what.cause, fault=what.fault, log_url=log
        )

    # --- flags and workers

    def flags(self) -> models.FlagsResponse:
        """Every flag, those that stand first."""
        return models.FlagsResponse(flags=self._flags.all())

    def workers(self) -> models.WorkersResponse:
        """Who works, and at what."""
        cards = self.context.workers.alive(now=self.context.now())
        states = self.context.attempts.read_all(card.doing for card in cards if card.doing)
        paths = [state.path for state in states.values()]
        entries = dict(zip(paths, self.context.index.find(paths), strict=True))
        return models.WorkersResponse(workers=[self._worker(card, states.get(card.doing), entries) for card in cards])

    def _worker(
        self, card: WorkerCard, state: AttemptState | None, entries: Mapping[str, IndexEntry | None]
    ) -> models.WorkerView:
        entry = entries.get(state.path) if state is not None else None
        is_told = entry is not None and not entry.is_private
        request = serializers.request(self.context, entry, state=state) if entry is not None and is_told else None
        return models.WorkerView(
            name=card.name,
            tiers=list(card.takes),
            devices=card.devices,
            versions=dict(list(card.versions.items())[:20]),
            since=iso(card.since) if 0 < card.since < 1e11 else "",
            busy=bool(card.doing),
            request=request,
        )


def scores_view(line: RequestRow, *, flagged: bool) -> models.EvaluationScoresView:
    """One row of the table of results."""
    values, average = line.values, line.average
    assert average is not None
    parameters = values["parameters"]
    return models.EvaluationScoresView(
        path=line.path,
        model=line.model,
        category=category_of(line).value,
        precision=str(values["precision"]),
        revision=str(values["revision"]),
        licence=str(values["licence"]),
        parameters=parameters if isinstance(parameters, float) else None,
        average=average,
        benchmarks=line.benchmarks,
        flagged=flagged,
        submitted=iso(line.time) if 0 < line.time < 1e11 else None,
    )


def _has_scores(rows: RequestRows, at: int) -> bool:
    return rows.lines[at].average is not None


def _page(order: Sequence[int], page: int, size: int) -> tuple[int, int, Sequence[int]]:
    """The number of the page that there is, how many there are, and what is on it."""
    pages = max(1, math.ceil(len(order) / size))
    page = min(max(1, page), pages)
    return page, pages, order[(page - 1) * size : page * size]


def _searched(rows: RequestRows, q: str, query: Query, count: int) -> SearchView:
    near = [] if count or not query.names else rows.near(query)
    misread = [models.MisreadTermView(said=one.said, why=one.why, near=list(one.near)) for one in query.misread]
    return SearchView(query=q[:1_000], count=count, near=near, misread=misread)
