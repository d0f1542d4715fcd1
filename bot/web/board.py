"""Views of the whole board for pages and the API: results, models, flags, workers, the history of a request."""

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
    """Reads the public views of one board."""

    def __init__(self, context: BoardContext) -> None:
        self.context = context
        self.table = RequestTable(context)
        self.pages = QueueReader(context)
        self.columns = [benchmark.name for benchmark in context.suite.benchmarks]
        self.times = TimingReader(context)
        self.comparing = Comparing(self.table)
        self._flags = FlagReader(context.flag_book)

    def warm(self) -> None:
        """Build table and queue before the first request: at 100,000 rows that takes seconds."""
        try:
            self.table.rows().prepare(self.columns)
            self.results(size=1)
            self.requests(size=1)
            self.pages.queue(limit=1)
            self.comparing.warm()
            self.times.times()
        except RedisError:  # the first request reads again, and reports the error
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
        """A page of evaluations; flagged ones only if `flagged` or the query includes them."""
        rows, query = self.table.rows(), parse(q)
        sort = sort if sort in (*SORTS, *self.columns) else "average"
        includes_flagged = flagged or any(term.column.key == "flagged" for term in query.terms)
        matching = rows.once(
            ("evaluated", q, category, precision), lambda: rows.find(query, rows.evaluated_as(category, precision))
        )
        shown = matching if includes_flagged or not rows.flagged else [at for at in matching if at not in rows.flagged]
        cache_key = ("results", q, category, precision, includes_flagged, sort, rising)
        order = rows.once(cache_key, lambda: rows.in_order(shown, sort, rising=rising))
        page, pages, part = _page(order, page, size)
        return models.ResultsResponse(
            searched=_searched(rows, q, query, len(shown)),
            columns=self.columns,
            results=[scores_view(rows.lines[at], flagged=at in rows.flagged) for at in part],
            flagged=len(matching) - len(shown),
            page=page,
            pages=pages,
        )

    def requests(self, *, q: str = "", state: str = "", page: int = 1, size: int) -> models.RequestTableResponse:
        """A page of the requests in `state`, newest first; of all requests for ""."""
        rows, query = self.table.rows(), parse(q)
        matching = rows.once(("requests", q, state), lambda: rows.find(query, rows.of_state(state)))
        order = rows.once(("newest", q, state), lambda: rows.in_order(matching, "time", rising=False))
        page, pages, part = _page(order, page, size)
        entries = self.context.index.find([rows.lines[at].path for at in part])
        public = [entry for entry in entries if entry is not None and not entry.is_private]
        return models.RequestTableResponse(
            searched=_searched(rows, q, query, len(matching)),
            requests=serializers.summaries(self.context, public),
            page=page,
            pages=pages,
        )

    def counts(self) -> dict[str, int]:
        """The numbers of finished, of failed, and of all requests."""
        rows = self.table.rows()
        return {"finished": rows.count("finished"), "failed": rows.count("failed"), "all": len(rows.lines)}

    # --- one request, one model

    def history(self, path: str) -> models.RequestHistoryResponse | None:
        """The request at `path` and its past; None if there is no such public request."""
        entry = self.context.index.find([path])[0]
        if entry is None or entry.is_private:
            return None
        request = serializers.request(self.context, entry)
        reopenings = newest_reopenings(entry.standing.causes) if entry.standing.access == "public" else ()
        return models.RequestHistoryResponse(
            request=request,
            past=[self._event(request.model, reopening) for reopening in reopenings],
            scores=self._scores_of(entry),
            flags=self._flags.of(request.model),
        )

    def model(self, name: str) -> models.ModelResponse | None:
        """All public requests, scores and flags of the model; None if there are none. Case does not matter."""
        entries = [entry for entry in self.context.index.of_model(name) if not entry.is_private]
        flags = self._flags.of(name)
        if not entries and not flags:
            return None
        entries.sort(key=lambda entry: (-entry.time, entry.path))
        requests = serializers.summaries(self.context, entries)
        exact_name = requests[0].model if requests else flags[0].model
        return models.ModelResponse(
            model=exact_name,
            model_url=self._address_of(exact_name),
            requests=requests,
            results=[scores for scores in map(self._scores_of, entries) if scores is not None],
            compared=self.comparing.compared(entries),
            flags=flags,
        )

    def compared(self, name: str) -> ComparisonView | None:
        """The scores of a model compared with others; None if it has no public scores."""
        return self.comparing.compared(entry for entry in self.context.index.of_model(name) if not entry.is_private)

    def _address_of(self, model: str) -> str:
        try:
            return self.context.address(Repo("model", model))
        except BadRequest:
            return ""  # the request file holds something that is not a model's name

    def _scores_of(self, entry: IndexEntry) -> models.EvaluationScoresView | None:
        rows = self.table.rows()
        at = rows.at(entry.path)
        return (
            scores_view(rows.lines[at], flagged=at in rows.flagged)
            if at is not None and _has_scores(rows, at)
            else None
        )

    def _event(self, model: str, event: Reopening) -> models.PastEventView:
        log = self.context.address(self.context.logs, f"{model}/{event.attempt}/log.txt") if event.left_log else None
        return models.PastEventView(
            kind=event.kind,
            attempt=event.attempt,
            number=event.number,
            cause=event.cause,
            fault=event.fault,
            log_url=log,
        )

    # --- flags and workers

    def flags(self) -> models.FlagsResponse:
        """Every flag, active ones first."""
        return models.FlagsResponse(flags=self._flags.all())

    def workers(self) -> models.WorkersResponse:
        """The workers that are alive, each with the request that it evaluates."""
        cards = self.context.workers.alive(now=self.context.now())
        states = self.context.attempts.read_all(card.doing for card in cards if card.doing)
        paths = [state.path for state in states.values()]
        entries = dict(zip(paths, self.context.index.find(paths), strict=True))
        return models.WorkersResponse(workers=[self._worker(card, states.get(card.doing), entries) for card in cards])

    def _worker(
        self, card: WorkerCard, state: AttemptState | None, entries: Mapping[str, IndexEntry | None]
    ) -> models.WorkerView:
        entry = entries.get(state.path) if state is not None else None
        is_public = entry is not None and not entry.is_private
        request = serializers.request(self.context, entry, state=state) if entry is not None and is_public else None
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
    """The number of the page that exists, the number of pages, and the rows on it."""
    pages = max(1, math.ceil(len(order) / size))
    page = min(max(1, page), pages)
    return page, pages, order[(page - 1) * size : page * size]


def _searched(rows: RequestRows, q: str, query: Query, count: int) -> SearchView:
    near = [] if count or not query.names else rows.near(query)
    misread = [models.MisreadTermView(said=term.said, why=term.why, near=list(term.near)) for term in query.misread]
    return SearchView(query=q[:1_000], count=count, near=near, misread=misread)
