"""The end of a season: score the private part of every submission that counts, rank them, and freeze the table.

The private part is scored here for the first time, so before the end no private score exists anywhere. The submissions
come from the results files, which name season, file and commit; the last one of each request counts. The table is one
file in the results repo, written once. Redis has a copy for the pages.

Race closed: a submission from before the end is not scored yet. The table waits for it, up to WAIT_SECONDS.
Race closed: Redis is new, or a webhook was lost, so such a submission is not known yet. The table waits as long until
the index has all commits of the requests repo.
Race closed: the bot dies on the way, or two processes freeze one season. The file is written only where there is none.
Race closed: the next season has begun, and a request has newer results. Those of the season are still in its folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from bot.core.context import BoardContext
from bot.intake.deliveries import REQUESTS
from bot.ledger.edits import PutFile
from bot.predictions.answers import load_answers
from bot.predictions.checking import check_file, find_predictions
from hub.errors import TooLarge
from leaderboard.evaluations import is_results_path
from leaderboard.flags import StandingFlags
from leaderboard.prediction_scores import part_scores
from leaderboard.predictions import PREDICTIONS, PredictionRules, Season
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.results import MAX_BYTES as MAX_RESULTS
from leaderboard.results import ResultsFile, read_results
from leaderboard.scores import BadResults
from leaderboard.seasons import (
    BadSeason,
    FrozenRow,
    SubmittedPredictions,
    ended_seasons,
    freeze,
    next_end,
    read_season,
    season_path,
    submitted_predictions,
    with_private,
)

log = structlog.get_logger()

SEASONS = "seasons"
"""Dirty key: a season may have ended."""
GRACE_SECONDS = 600.0
"""Seconds after the end in which commits from before it may still be found."""
WAIT_SECONDS = 86_400.0
"""Seconds after the end for which the table waits for submissions that are not scored yet."""
RETRY_SECONDS, INDEX_WAIT_SECONDS = 60.0, 10.0
"""Seconds until the next sync while submissions are not scored, and while the index lacks commits."""
MAX_TABLE = 20_000_000


@dataclass(frozen=True)
class SeasonEntry:
    """One submission of a season: its results, their path, and the facts in them about the predictions."""

    path: str
    results: ResultsFile
    submitted: SubmittedPredictions


def has_seasons(context: BoardContext) -> bool:
    """Whether the board's suite has seasons."""
    rules = context.suite.predictions
    return rules is not None and bool(rules.seasons)


def sync_seasons(context: BoardContext) -> float | None:
    """Freeze the table of each season that has ended; return when the next sync is due. One call for each of them."""
    rules = context.suite.predictions
    if rules is None:
        return None
    waits = [_bring_in_step(context, rules, season) for season in ended_seasons(rules.seasons, context.now())]
    times = [*(time for time in waits if time is not None), next_end(rules.seasons, context.now())]
    return min((time for time in times if time is not None), default=None)


def _bring_in_step(context: BoardContext, rules: PredictionRules, season: Season) -> float | None:
    """Freeze `season`, or store its frozen table in Redis; return when to sync again, if needed."""
    if context.redis.hexists(context.keys.seasons, season.name):
        return None
    path, end = season_path(season.name), season.ends.timestamp()
    frozen = context.hub.find_file(context.results, path, max_bytes=MAX_TABLE)
    if frozen is not None:
        _store(context, season, frozen.data)
        return None
    if context.now() < end + GRACE_SECONDS:
        return end + GRACE_SECONDS
    if context.now() < end + WAIT_SECONDS:
        if not _is_index_complete(context):
            return context.now() + INDEX_WAIT_SECONDS
        if _is_any_unscored(context):
            return context.now() + RETRY_SECONDS
    flags = StandingFlags(context.flag_book.records())
    rows = [_row(context, rules, entry, flags) for entry in _entries(context, season)]
    data = freeze(season, rows, suite=context.suite.name, digest=context.suite.digest, now=context.now())
    line = f"Freeze the table of the season {season.name} ({len(rows):,})"
    put = PutFile(id=f"season {season.name}", path=path, data=data, line=line, subject=path, wake=(SEASONS,))
    log.info("season ends", season=season.name, submissions=len(rows))
    context.effects.stage(context.results, put)
    return None


def _store(context: BoardContext, season: Season, data: bytes) -> None:
    try:
        table = read_season(data)
    except BadSeason as error:  # a person wrote it: the pages show none, and the file stays
        log.error("a season's table cannot be read", season=season.name, error=str(error))
        return
    context.redis.hset(context.keys.seasons, season.name, table.model_dump_json())


def _is_index_complete(context: BoardContext) -> bool:
    """Whether the index has every commit of the requests repo; if not, have that repo synced. One call."""
    is_complete = context.index.head(context.requests.id) == context.hub.head(context.requests)
    if not is_complete:
        context.mark(REQUESTS)
    return is_complete


def _is_any_unscored(context: BoardContext) -> bool:
    """Whether a request for predictions was seen and not scored or refused yet; one whose scores are on their way may
    count as running after Redis was lost."""
    paths = map(parse_path, [*context.index.unjudged(), *(entry.path for entry in context.index.busy())])
    return any(isinstance(path, RequestPath) and path.precision == PREDICTIONS for path in paths)


def _entries(context: BoardContext, season: Season) -> list[SeasonEntry]:
    """The last submission of each request in `season`. A fetch of the results repo, and no call for each."""
    last: dict[str, SeasonEntry] = {}
    for entry in sorted(_all_entries(context), key=lambda season_entry: season_entry.path):
        if entry.submitted.season == season.name:
            last[entry.results.block.request] = entry
    return list(last.values())


def _all_entries(context: BoardContext) -> Iterator[SeasonEntry]:
    head = context.mirror.fetch(context.results, depth=0)
    with context.mirror.read_fetched(context.results) as view:
        for blob in view.files(head):
            if blob.oid is None or not is_results_path(blob.path):
                continue
            data = view.blob(blob.oid, max_bytes=MAX_RESULTS)
            if data is not None and f'"{PREDICTIONS}"'.encode() in data:
                yield from _entry(context, blob.path, data)


def _entry(context: BoardContext, path: str, data: bytes) -> Iterator[SeasonEntry]:
    try:
        results = read_results(data, context.suite)
    except BadResults:  # of an earlier suite
        return
    submitted = submitted_predictions(dict(results.data))
    if submitted is not None:
        yield SeasonEntry(path, results, submitted)


def _row(context: BoardContext, rules: PredictionRules, entry: SeasonEntry, flags: StandingFlags) -> FrozenRow:
    """The row of a submission, with the scores of the private part. One call. Raises AnswersUnusable and HubError."""
    block = entry.results.block
    row = FrozenRow(
        model=block.model,
        submitter=entry.submitted.submitter,
        submitted=block.started,
        public=entry.results.scores.average,
        file=entry.submitted.file,
        commit=entry.submitted.commit,
        results=entry.path,
        flagged=flags.flagged(block.model, block.revision, PREDICTIONS, ""),
    )
    try:
        file = find_predictions(context, row.file, row.commit)
    except TooLarge:
        file = None
    if file is None:
        return row.model_copy(update={"note": "Its file of predictions is no longer in the requests repo."})
    by_id, problems = check_file(context, row.file, file.data)
    if problems:
        return row.model_copy(update={"note": "Its file of predictions no longer passes the check."})
    return with_private(row, part_scores(by_id, load_answers(context), context.suite, rules, "private"))
