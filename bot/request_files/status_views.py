"""Build the view of the status comment from the facts that a sync gathered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from bot.core.context import BoardContext
from bot.core.log_repos import public_log
from bot.request_files.status_text import PastLine, State, StatusView
from hub.records import Repo
from leaderboard.attempts import Failure
from leaderboard.prediction_submissions import predictions_file
from leaderboard.predictions import PREDICTIONS
from leaderboard.reasons import Problem
from leaderboard.request_history import Reopening, newest_reopenings
from leaderboard.requests import Request
from redis_state.board.entry import IndexEntry


def readable_time(seconds: float) -> str:
    """The time `seconds` as text, such as `2026-11-24 12:00 UTC`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def view_of(
    context: BoardContext,
    entry: IndexEntry,
    request: Request,
    state: State,
    *,
    reasons: Sequence[Problem] = (),
    failure: Failure | None = None,
) -> StatusView:
    """The view of a readable request."""
    model = request.path.model
    return StatusView(
        state=state,
        path=entry.path,
        request_url=context.address(context.requests, entry.path),
        updated=readable_time(context.now()),
        model=model,
        model_url=_subject_url(context, request),
        revision=entry.sha or request.file.steward.revision or "",
        precision=request.path.precision,
        weight_type=request.path.weight_type,
        submitter=entry.submitter or context.index.origin(entry.path).submitter(request.file.sender),
        attempt=entry.attempt or "",
        reasons=reasons,
        failure=failure,
        has_earlier=entry.kept is not None and state in ("refused", "failed", "again", "cancelled"),
        past=[_line(context, model, event) for event in newest_reopenings(request.file.steward.causes)],
    )


def _subject_url(context: BoardContext, request: Request) -> str:
    """The address of the model; for predictions, of their file, or of the request where it names no file."""
    if request.path.precision != PREDICTIONS:
        return context.address(Repo("model", request.path.model))
    file = predictions_file(request.path.model, request.fields.get(PREDICTIONS))
    return context.address(context.requests, file if isinstance(file, str) else str(request.path))


def _line(context: BoardContext, model: str, event: Reopening) -> PastLine:
    log_url = context.address(context.logs, f"{model}/{event.attempt}/log.txt") if event.left_log else ""
    return PastLine(event, public_log(context, log_url) if log_url and not context.suite.restricted else "")


def view_of_unreadable(
    context: BoardContext, entry: IndexEntry, problems: Sequence[Problem], *, writable: bool
) -> StatusView:
    """The view of a file that cannot be read as a request."""
    return StatusView(
        state="refused",
        path=entry.path,
        request_url=context.address(context.requests, entry.path),
        updated=readable_time(context.now()),
        submitter=context.index.origin(entry.path).author,
        reasons=problems,
        writable=writable,
    )
