"""The table of dirty keys: which sync handles which key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial

import structlog

from bot.backends.launching import sync_backends
from bot.changes.duplicates import DUPLICATES, sync_duplicates
from bot.core.context import MODEL_PAGE, BoardContext, repo_of, thread_of
from bot.core.former_paths import FORMER, sync_former_paths
from bot.core.waiting_threads import DIGEST
from bot.evaluations.restore_deleted import DELETED_RESULTS, sync_deleted_results
from bot.flags.evidence_recheck import CAUSE, CAUSES, mark_causes
from bot.flags.flags_repo import sync_cause, sync_flags
from bot.flags.reports import EVIDENCE, sync_evidence
from bot.intake.deliveries import FLAGS, REQUESTS
from bot.ledger.store import LEDGER
from bot.model_pages.daily import MODEL_PAGES, mark_model_pages
from bot.model_pages.pull_request import sync_model_page
from bot.predictions.seasons import SEASONS, sync_seasons
from bot.processes.reconcile import RECONCILE, WEBHOOKS, sync_reconcile, sync_webhooks
from bot.queue.dispatching import QUEUE, sync_queue
from bot.queue.durations import DURATIONS, sync_durations
from bot.queue.outbreaks import OUTBREAK, sync_outbreak
from bot.queue.pauses import sync_pauses
from bot.requests.comparison import FILES, sync_files
from bot.requests.request import sync_request
from bot.requests.requests_repo import sync_requests_repo
from bot.requests.trials import TRIAL_KIND, sync_trial
from bot.results.contents import CONTENTS, sync_contents
from bot.results.scoreboard import SCORES, SCORES_CHANGED, sync_changed_scores, sync_scores
from bot.threads.decision_log import DECISIONS, sync_decisions
from bot.threads.maintainers_list import sync_digest
from bot.threads.threads import sync_thread, sync_threads
from bot.web.mailbox_syncs import (
    sync_check,
    sync_details,
    sync_maintainer_action,
    sync_names,
    sync_page_command,
    sync_submission,
    sync_upload,
)
from redis_state.board.backend_runs import BACKENDS
from redis_state.board.messages import (
    ApiSubmission,
    CheckQuestion,
    DetailsQuestion,
    MaintainerAction,
    NameQuestion,
    PageCommand,
    PredictionUpload,
)
from redis_state.board.pauses import PAUSED

log = structlog.get_logger()

Handler = Callable[[], float | None]
SYNCS_BY_KEY: Mapping[str, Callable[[BoardContext], float | None]] = {
    REQUESTS: sync_requests_repo,
    QUEUE: sync_queue,
    BACKENDS: sync_backends,
    DELETED_RESULTS: sync_deleted_results,
    FILES: sync_files,
    FORMER: sync_former_paths,
    DURATIONS: sync_durations,
    PAUSED: sync_pauses,
    CONTENTS: lambda context: sync_contents(context, _compose_snapshot),
    SCORES: sync_scores,
    SCORES_CHANGED: sync_changed_scores,
    FLAGS: sync_flags,
    CAUSES: mark_causes,
    DECISIONS: sync_decisions,
    DUPLICATES: sync_duplicates,
    DIGEST: sync_digest,
    RECONCILE: sync_reconcile,
    WEBHOOKS: sync_webhooks,
    MODEL_PAGES: mark_model_pages,
    SEASONS: sync_seasons,
}
"""Dirty key → its sync."""
SYNCS_BY_PREFIX: Mapping[str, Callable[[BoardContext, str], float | None]] = {
    "request": sync_request,
    CheckQuestion.KIND: sync_check,
    NameQuestion.KIND: sync_names,
    DetailsQuestion.KIND: sync_details,
    ApiSubmission.KIND: sync_submission,
    PredictionUpload.KIND: sync_upload,
    MaintainerAction.KIND: sync_maintainer_action,
    PageCommand.KIND: sync_page_command,
    OUTBREAK: sync_outbreak,
    TRIAL_KIND: sync_trial,
    EVIDENCE: sync_evidence,
    CAUSE: sync_cause,
    MODEL_PAGE: sync_model_page,
}
"""Kind of a dirty key `{kind}:{which}` → its sync, which takes `which`. Keys of ledgers and threads differ."""


def _compose_snapshot(context: BoardContext, ids: Collection[str]) -> bytes:
    """The snapshot of the leaderboard. The pages are imported here: a board without a table needs none of them."""
    from bot.web.snapshot import leaderboard_snapshot

    return leaderboard_snapshot(context, ids)


def handler_of(context: BoardContext, key: str) -> Handler:
    """The sync of the dirty key `key`; for an unknown key, one that does nothing."""
    kind, _, subject = key.partition(":")
    if key in SYNCS_BY_KEY:
        return partial(SYNCS_BY_KEY[key], context)
    if kind in SYNCS_BY_PREFIX and subject:
        return partial(SYNCS_BY_PREFIX[kind], context, subject)
    if kind == LEDGER and subject in context.shared:
        return lambda: context.effects.write(subject)
    if kind == "threads" and (repo := repo_of(subject)) is not None:
        return lambda: sync_threads(context, repo)
    if kind == "thread" and (thread := thread_of(subject)) is not None:
        return lambda: sync_thread(context, *thread)
    log.warning("unknown key")
    return lambda: None
