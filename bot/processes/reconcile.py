"""The reconciler: it finds changes whose webhook was lost, at start, on a timer, and after Redis was lost.

A round is a handful of dirty keys, each of which fails and is retried by itself. Its cost in calls does not depend on
the number of requests:

    requests     read the refs; if they moved, the history, a fetch, and marks for changed files             1 call
    threads:…    the newest threads, and one page of the open ones if there are more, of three repos    3 to 6 calls,
                 or some more after a pause
    webhooks     enable disabled or suspended ones again; from time to time the logs repo's visibility    1 or 2 calls
    reconcile    requests without a verdict, or whose attempt no worker runs; shrink large mirrors           0 calls
    flags        read the head of the flags repo, if the board has one                                       1 call
    contents     read the heads of the aggregated table's sources, if the board has one                     3 calls
    seasons      on a board with seasons: read the table of one that has ended, until Redis has it     1 to 2 calls
    kept         from time to time: find files that others removed from the results and logs repos           2 calls
    scores       together with it: find finished requests without scores                                     0 calls
    files        every ten minutes: compare the index with all request files; a fetch if the mirror lacks
                 the commit                                                                              0 to 4 calls

There is a round every PERIOD seconds. Most rounds consist of `reconcile` and `files` alone while the webhooks report
every change (`leaderboard.look_rhythm`). So a commit without a webhook is found within PERIOD, or within the board's
`look_seconds` if it is the first that no webhook reported; a comment in an older open thread within a minute for each
page of open threads, or that time if it is longer (`bot.threads.threads`). The syncs of the marked keys do the rest:
that of a silent attempt first looks for results in its details repo, and only then declares it lost
(`bot.evaluations.attempt.recover`).
"""

from __future__ import annotations

import structlog

from bot.core.context import BoardContext, request_key, threads_key
from bot.core.watched_repos import are_all_watched, thread_repos, watched
from bot.evaluations.restore_deleted import DELETED_RESULTS, is_due
from bot.intake.deliveries import FLAGS, REQUESTS
from bot.intake.webhook_trust import doubt_webhooks, note_check, seconds_between_looks
from bot.ledger.store import LEDGER
from bot.predictions.seasons import SEASONS, has_seasons
from bot.requests import comparison
from bot.requests.comparison import FILES
from bot.results.contents import CONTENTS
from bot.results.scoreboard import SCORES
from hub.errors import Denied
from hub.records import Webhook
from leaderboard.attempts import TRIAL
from leaderboard.look_rhythm import SHORTEST_SECONDS
from redis_state.clock import iso
from redis_state.dirty import SyncPriority
from redis_state.webhook_quota import WebhookQuota

log = structlog.get_logger()

RECONCILE, WEBHOOKS = "reconcile", "webhooks"
PERIOD = SHORTEST_SECONDS
"""Seconds between two rounds; POLLING where webhooks cannot be relied on."""
POLLING = 15.0


def round_keys(context: BoardContext) -> list[str]:
    """The dirty keys of one round that looks at the Hub."""
    keys = [REQUESTS, WEBHOOKS, *(threads_key(repo) for repo in thread_repos(context)), *keys_of_every_round(context)]
    keys += [FLAGS] if context.flags_repo is not None else []
    keys += [CONTENTS] if context.contents is not None else []
    keys += [SEASONS] if has_seasons(context) else []
    return [*keys, DELETED_RESULTS, SCORES] if is_due(context) else keys


def keys_of_every_round(context: BoardContext) -> list[str]:
    """The dirty keys of every round, also of those that do not look at the Hub.

    Parked ledgers are among them: requests wait for their staged edits, and no event would wake a ledger after a
    token's repair.
    """
    keys = [RECONCILE, *(sync.key for sync in context.parking.all() if sync.key.partition(":")[0] == LEDGER)]
    return [*keys, FILES] if comparison.is_due(context) else keys


def period(context: BoardContext) -> float:
    """Seconds until the next round that looks at the Hub."""
    trouble = context.redis.exists(context.keys.webhook_trouble, context.keys.poll)
    return POLLING if trouble else seconds_between_looks(context)


def sync_reconcile(context: BoardContext) -> None:
    """Mark requests without a verdict and those whose state does not fit the living attempts; keep mirrors small."""
    now, index = context.now(), context.index
    alive = context.attempts.alive(now=now)
    stuck = set(index.unjudged())
    stuck |= {entry.path for entry in index.busy() if entry.state == "running" and entry.attempt not in alive}
    states = context.attempts.read_all(alive).values()
    paths = sorted({state.path for state in states if state.path and not state.path.startswith(TRIAL)})
    # Requests that have a living attempt although the index says that they are neither queued nor running.
    entries = zip(paths, index.find(paths), strict=True)
    stuck |= {path for path, entry in entries if entry is None or entry.state not in ("queued", "running")}
    if stuck:
        log.info("reconciling", requests=len(stuck))
        context.mark_all(map(request_key, sorted(stuck)), SyncPriority.BACKGROUND)
    for repo in (context.requests, context.results):
        if context.mirror.tidy(repo):
            log.info("mirror cloned again", repo=repo.id)


def sync_webhooks(context: BoardContext) -> None:
    """Enable disabled webhooks again, and note whether the webhooks are reliable."""
    WebhookQuota(context.redis, context.keys).judge(now=context.now())
    context.is_logs_repo_private()  # stored for the web server
    try:
        hooks = [hook for hook in context.hub.webhooks() if watched(context, hook)]
        for hook in hooks:
            if hook.disabled:
                _enable(context, hook)
    except Denied as error:
        _note_trouble(context, f"The bot cannot read its webhooks: {error}")
        note_check(context, are_complete=False)
        return
    note_check(context, are_complete=are_all_watched(context, hooks))
    lacks_commits = context.requests not in {
        repo for hook in hooks if "repo" in hook.domains for repo in watched(context, hook)
    }
    _note_trouble(
        context, f"No webhook of the bot reports commits to {context.requests.id}: create one." if lacks_commits else ""
    )


def _enable(context: BoardContext, hook: Webhook) -> None:
    doubt_webhooks(context, f"a webhook was {hook.disabled}")  # first: afterwards the webhook is enabled
    context.hub.enable_webhook(hook.id)
    words = f"The webhook {hook.id} was {hook.disabled}; it was switched on again at {iso(context.now())}."
    context.redis.hset(context.keys.hub_state, "webhook", words)
    log.warning("webhook switched on again", webhook=hook.id, was=hook.disabled)


def _note_trouble(context: BoardContext, trouble: str) -> None:
    key = context.keys.webhook_trouble
    if not trouble:
        context.redis.delete(key)
        return
    if context.redis.set(key, trouble, get=True) != trouble.encode():
        log.warning("webhooks cannot be relied on; polling instead", why=trouble)
