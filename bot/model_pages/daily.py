"""Once a day, and after Redis was lost: mark the pages of all models with results.

Nothing stores which models have a pull request, so each costs a call; boards without `model_pages` make none.
"""

from __future__ import annotations

from bot.core.context import BoardContext, model_page_key
from leaderboard.request_paths import RequestPath, parse_path
from leaderboard.requests import Status
from redis_state.dirty import SyncPriority

MODEL_PAGES = "model-pages"
"""Dirty key: the pull requests on models' repos may be out of date."""
INDEX_WAIT_SECONDS = 60.0


def mark_model_pages(context: BoardContext) -> float | None:
    """Mark the page of each model that has results, or had some; return when to try again."""
    if context.models_hub is None or not context.board.model_pages:
        return None
    if context.index.head(context.requests.id) is None:
        return context.now() + INDEX_WAIT_SECONDS
    paths = context.index.catalog.of(Status.FINISHED, Status.PENDING_NEW_EVAL, Status.CANCELLED)
    models = {path.model for path in map(parse_path, paths) if isinstance(path, RequestPath) and not path.private}
    context.mark_all(map(model_page_key, sorted(models)), SyncPriority.BACKGROUND)
    return None
