"""The quota of scored files of predictions: each scored file tells its submitter something about the answers.

It counts results files, which stay on the Hub, and submissions that were accepted and have no results yet.

Race closed: several submissions of one account are judged at the same moment. Each takes its place in one sorted set,
and those beyond the quota are refused.
Race accepted: Redis is lost between the acceptance and the results. An account then has a few files more than its
quota.
"""

from __future__ import annotations

from bot.core.context import BoardContext
from bot.predictions.answers import rules_of
from hub.errors import NotFound
from leaderboard.evaluations import is_results_path
from leaderboard.predictions import PREDICTIONS
from leaderboard.requests import RequestPath
from leaderboard.results import results_time

WINDOW_SECONDS = 7 * 86_400.0


def count_scored(context: BoardContext, account: str, submission: str) -> int:
    """The number of files of `account` that were scored, or accepted, within the last seven days. One call.

    The `submission` itself does not count, if it was accepted before.
    """
    since, key = context.now() - WINDOW_SECONDS, _key(context, account)
    accepted = int(context.redis.zcount(key, since, "+inf")) - (context.redis.zscore(key, submission) is not None)
    return max(accepted, _count_results(context, account, since))


def take_place(context: BoardContext, account: str, submission: str) -> bool:
    """Take a place in the quota of `account` for an accepted `submission`; False if there is none left.

    The same submission takes one place, however often this is called.
    """
    key, now = _key(context, account), context.now()
    since = now - WINDOW_SECONDS
    with context.redis.pipeline() as steps:
        steps.zremrangebyscore(key, "-inf", since)
        steps.zadd(key, {submission: now}, nx=True)
        steps.zrank(key, submission)
        steps.expire(key, int(WINDOW_SECONDS) + 3_600)
        rank = steps.execute()[2]
    if rank is not None and int(rank) < rules_of(context).per_week:
        return True
    context.redis.zrem(key, submission)
    return False


def _key(context: BoardContext, account: str) -> str:
    return context.keys.predictions(account.casefold())


def _count_results(context: BoardContext, account: str, since: float) -> int:
    """The number of results files of the account's predictions since then; results of its models do not count."""
    if not account:
        return 0
    try:
        files = context.hub.list_files(context.results, folder=account)
    except NotFound:
        return 0
    recent = [file.path for file in files if is_results_path(file.path) and (results_time(file.path) or 0.0) > since]
    return sum(_is_of_predictions(context, path) for path in recent)


def _is_of_predictions(context: BoardContext, path: str) -> bool:
    org, _, name = path.rpartition("/")[0].partition("/")
    request = RequestPath(org, name, private=False, precision=PREDICTIONS, weight_type="Original")
    return context.index.find([str(request)])[0] is not None
