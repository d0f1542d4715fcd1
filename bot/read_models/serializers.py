"""Build the API's views of requests from the index, the queue and the attempts in Redis.

The public sees less than the operator (`public=False`): no reason, log or thread of a request for a gated model, and
only the position of a request for a private model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict

from bot.core.context import BoardContext
from bot.core.log_repos import public_log
from bot.core.relative_times import stamp
from bot.read_models import models
from bot.read_models.queue_snapshot import take_snapshot
from hub.errors import BadRequest
from hub.records import Repo
from leaderboard import dispatch, estimates
from leaderboard.adoption import old_failure
from leaderboard.holds import Hold
from leaderboard.predictions import PREDICTIONS
from leaderboard.queue_snapshot import QueueOutlook
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.requests import Status
from redis_state.attempts import AttemptState
from redis_state.board.entry import IndexEntry
from redis_state.clock import iso

ENDS: dict[str, models.State] = {"FINISHED": "finished", "FAILED": "failed", "CANCELLED": "cancelled"}


def summary(context: BoardContext, entry: IndexEntry, *, public: bool = True) -> models.RequestSummaryView:
    """The summary of one request. The caller leaves out private requests where the public reads it."""
    return summaries(context, [entry], public=public)[0]


def summaries(
    context: BoardContext, entries: Sequence[IndexEntry], *, public: bool = True
) -> list[models.RequestSummaryView]:
    """The summaries of `entries`. At most one round trip."""
    adopted = _adopted(context, entries)
    return [_summary(context, entry, adopted, public=public) for entry in entries]


def request(
    context: BoardContext, entry: IndexEntry, *, public: bool = True, state: AttemptState | None = None
) -> models.RequestView:
    """One request with its position, blocker or progress; `state` is that of its attempt, if the caller has read it."""
    if state is None and entry.state == "running" and entry.attempt is not None:
        state = context.attempts.read(entry.attempt)
    outlook = take_snapshot(context).outlook(entry.path) if entry.state in ("waiting", "queued") else None
    blocker = outlook.held if outlook is not None else None
    held = blocker_view(entry, blocker, context.pauses.all()) if blocker is not None else None
    return models.RequestView(
        **dict(summary(context, entry, public=public)),
        attempt=entry.number if entry.attempt is not None else 0,
        place=place(outlook) if outlook is not None and outlook.position is not None else None,
        held=delay_view(entry, context.now()) or held,
        progress=progress(state) if entry.state == "running" else None,
    )


def _adopted(context: BoardContext, entries: Iterable[IndexEntry]) -> str:
    """The time of the board's adoption, read only where one of `entries` failed before it; else ""."""
    record = context.adoption.record() if any(map(_failed_before, entries)) else None
    return record.at if record is not None else ""


def _failed_before(entry: IndexEntry) -> bool:
    """Whether a request failed before the board's adoption, without a record of the cause."""
    standing = entry.standing
    return standing.failure is None and standing.old and standing.status == Status.FAILED


def _summary(context: BoardContext, entry: IndexEntry, adopted: str, *, public: bool) -> models.RequestSummaryView:
    path, standing = parse_path(entry.path), entry.standing
    parsed = path if isinstance(path, RequestPath) else None
    shows_details = not public or standing.access == "public"
    failure = old_failure(adopted) if _failed_before(entry) else standing.failure
    thread = f"{context.address(context.requests)}/discussions/{entry.thread}" if entry.thread is not None else None
    log_url = (standing.log or None) if shows_details else None
    if log_url is not None and public:
        log_url = public_log(context, log_url) or None
    return models.RequestSummaryView(
        path=entry.path,
        model=entry.model or (parsed.model if parsed else ""),
        revision=entry.commit,
        precision=parsed.precision if parsed else "",
        weight_type=parsed.weight_type if parsed else "",
        status=standing.status,
        state=state_of(entry),
        submitter=entry.known_submitter,
        submitted=iso(entry.time) if 0 < entry.time < 1e11 else None,
        request_url=context.address(context.requests, entry.path),
        thread_url=thread if shows_details else None,
        log_url=log_url,
        has_log=bool(shows_details and standing.log),
        results_url=context.address(context.results, standing.results) if standing.results else None,
        details_url=_details_url(context, standing.details or context.board.repos.details(parsed.model))
        if shows_details and parsed and parsed.precision != PREDICTIONS and standing.results and not standing.old
        else None,
        predictions_url=_predictions_url(context, entry),
        failure=failure if shows_details else None,
        failed=_has_failed(entry),
        access=standing.access,
        removed=standing.removed,
        from_before=standing.old,
    )


def _predictions_url(context: BoardContext, entry: IndexEntry) -> str | None:
    """The address of a file of predictions: as it was scored, or as it is now; None for a model."""
    if not (file := entry.standing.predictions):
        return None
    return context.address(context.requests, file, revision=entry.sha or "main")


def _details_url(context: BoardContext, name: str) -> str | None:
    """The address of the dataset `name`, which has all questions and answers of a model's evaluations."""
    try:
        return context.address(Repo("dataset", name))
    except BadRequest:
        return None  # the file does not hold a name


def _has_failed(entry: IndexEntry) -> bool:
    """Whether the newest evaluation of a request failed, also where the result of an earlier one stays."""
    state = state_of(entry)
    return state == "failed" or (state == "finished" and entry.standing.failure is not None)


def state_of(entry: IndexEntry) -> models.State:
    """The state of a request in the API's words."""
    match entry.state:
        case "new" if entry.waits_for_retry:
            return "waiting"
        case "queued":
            return "waiting"  # in RQ, but no worker has taken it: a request with an earlier turn may still replace it
        case "foreign":
            return ENDS.get(entry.standing.status, "elsewhere")
        case "settled":
            return ENDS.get(entry.standing.status, "settled")
        case state:
            return state


def place(outlook: QueueOutlook) -> models.QueuePositionView:
    """The position of a request that has one."""
    assert outlook.position is not None
    return models.QueuePositionView(
        position=outlook.position, among=outlook.among, workers=outlook.workers, start=start(outlook.start)
    )


def start(estimate: estimates.StartEstimate | None) -> models.StartView | None:
    """The estimated start, to the second."""
    if estimate is None:
        return None
    return models.StartView(
        earliest=iso(estimate.earliest), expected=iso(estimate.expected), latest=iso(estimate.latest)
    )


def blocker_view(
    entry: IndexEntry | None, blocker: dispatch.QueueBlocker, pauses: Mapping[str, Hold]
) -> models.QueueBlockerView:
    """The blocker, with the maintainer's reason, except for a hold of a private request, for which `entry` is None."""
    holds = {"pause": pauses.get(blocker.what), "hold": entry.hold if entry is not None else None}
    hold = holds.get(blocker.kind)
    return models.QueueBlockerView(
        kind=blocker.kind, what=blocker.what, reason=hold.reason if hold else "", by=hold.by if hold else ""
    )


def delay_view(entry: IndexEntry, now: float) -> models.QueueBlockerView | None:
    """What delays the check of a request: the Hub, or the time of its retry; None if nothing does."""
    if entry.waits_for_hub(now):
        return models.WAITS_FOR_HUB
    return retry_view(entry.again) if entry.waits_for_retry else None


def retry_view(at: float) -> models.QueueBlockerView:
    """The blocker of a request that is retried at the time `at`."""
    reason = f"Its last attempt failed, and the model is not the cause. It will be retried at {stamp(at)}."
    return models.QueueBlockerView(kind="retry", reason=reason, until=iso(at))


def progress(state: AttemptState | None) -> models.ProgressView:
    """The progress of an attempt."""
    if state is None:
        return models.ProgressView(phase="start", done=0, total=0)
    started = iso(state.started) if state.started else None
    return models.ProgressView(**asdict(state.progress), started=started)
