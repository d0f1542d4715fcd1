"""The quota of scored files of predictions: each scored file tells its submitter something about the answers.

It counts files with results, which stay on the Hub, and submissions that were accepted and have no results yet. A file
that is evaluated again, for a newer suite or by a maintainer's command, counts once.

Race closed: several submissions of one account are judged at the same moment. Each takes its place in one sorted set,
and those beyond the quota are refused.
Race accepted: Redis is lost between the acceptance and the results. An account then has a few files more than its
quota.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pydantic import ValidationError

from bot.core.context import BoardContext
from bot.predictions.answers import rules_of
from hub.errors import NotFound
from hub.records import File
from leaderboard.evaluations import is_results_path
from leaderboard.predictions import PREDICTIONS
from leaderboard.request_paths import RequestPath
from leaderboard.results import MAX_BYTES, parse_harness, results_time
from leaderboard.scores import BadResults
from leaderboard.steward_block import BLOCK as STEWARD
from leaderboard.steward_block import StewardBlock

WINDOW_SECONDS = 7 * 86_400.0


def count_scored(context: BoardContext, account: str, submission: str) -> int:
    """The number of files of `account` that were scored, or accepted, within the last seven days. A call, and one for
    each of the results where one submission has several.

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
    """The number of files of the account's predictions with results since then; results of its models do not count."""
    if not account:
        return 0
    try:
        files = context.hub.list_files(context.results, folder=account)
    except NotFound:
        return 0
    recent = defaultdict[str, list[str]](list)
    for path in (file.path for file in files if is_results_path(file.path)):
        if (results_time(path) or 0.0) > since:
            recent[path.rpartition("/")[0]].append(path)
    return sum(_count_files(context, paths) for model, paths in recent.items() if _is_of_predictions(context, model))


def _count_files(context: BoardContext, results: Sequence[str]) -> int:
    """The number of files of predictions behind the results of one submission: each is at a commit of its own."""
    if len(results) == 1:
        return 1
    files = (context.hub.find_file(context.results, path, max_bytes=MAX_BYTES) for path in results)
    return len({_commit_of(file) for file in files if file is not None})


def _commit_of(results: File) -> str:
    """The commit of the predictions behind a results file; one that cannot be read counts for itself."""
    try:
        return StewardBlock.model_validate(parse_harness(results.data).get(STEWARD)).revision
    except (BadResults, ValidationError):
        return results.path


def _is_of_predictions(context: BoardContext, model: str) -> bool:
    org, _, name = model.partition("/")
    request = RequestPath(org, name, private=False, precision=PREDICTIONS, weight_type="Original")
    return context.index.find([str(request)])[0] is not None
