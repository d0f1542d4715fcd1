"""Published results, logs and outcomes that a person removed by hand: detected, logged, and restored if that is safe.

A check costs one call for each repo while only the bot commits there, whatever the number of files.

A removal by a maintainer is a decision: it is logged and stays. Results that another account removed are restored once,
if their request still says FINISHED with them: as the bot or a maintainer wrote them last, by the history of the repo;
a second removal stays. Of logs and outcomes only the removal is logged.

Race accepted: a removal before the first check with a new Redis, or more than MAX_COMMITS commits ago, is not detected
here; `steward doctor` compares every finished request with the results repo (`missing_results`).
Race accepted: a request is reopened while its old results are restored. They were correct, and stay beside the new.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import structlog

from bot.core.commit_origins import is_ours, is_own_work
from bot.core.context import BoardContext
from bot.core.people import roles, user_id
from bot.intake.webhook_trust import seconds_between_looks
from bot.ledger.edits import PutFile, named_edits
from bot.results.scoreboard import SCORES
from hub.errors import Garbled, TooLarge
from hub.records import File, LogEntry, Repo
from hub.retries import unless_gone
from leaderboard.attempts import number_in
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request, Status, parse_request
from leaderboard.results import MAX_BYTES
from leaderboard.roles import Person, Role
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

DELETED_RESULTS = "kept"
"""Dirty key: a person may have removed published files."""
CHECK_SECONDS = 600.0
LOOKS = 3
"""Time between two checks: CHECK_SECONDS, or this number of looks at the Hub while these are rare."""
MAX_COMMITS = 50
"""Commits of a repo that one check reads."""
MAX_VERSIONS = 3
"""Versions of a removed file that the bot checks, in case another account changed the file before its removal."""


def is_due(context: BoardContext) -> bool:
    """Whether a check is due. The first one comes CHECK_SECONDS after a start, when other work is done."""
    now = context.now()
    last = context.redis.hget(context.keys.rounds, DELETED_RESULTS)
    if last is None:
        context.redis.hset(context.keys.rounds, DELETED_RESULTS, now)
        return False
    # Half a look less: the time of a check is noted at its end, which is a little later than the look.
    return not 0 <= now - float(last) < max(CHECK_SECONDS, (LOOKS - 0.5) * seconds_between_looks(context))


def sync_deleted_results(context: BoardContext) -> None:
    """Check the commits of others in the results and logs repos since the last check."""
    life = context.index.life()
    for repo in (context.results, context.logs):
        head, seen = context.hub.head(repo), context.index.head(repo.id)
        foreign_commits = (
            list(_commits_of_others(context, repo, seen, head)) if seen is not None and head != seen else []
        )
        for entry in foreign_commits:
            _check_commit(context, repo, entry, head)
        if foreign_commits and repo == context.results:
            context.scores.note_told(head)
            context.mark(SCORES, SyncPriority.BACKGROUND)
        if head != seen:
            context.index.put_head(repo.id, head, life)
    context.redis.hset(context.keys.rounds, DELETED_RESULTS, context.now())


def _commits_of_others(context: BoardContext, repo: Repo, seen: str, head: str) -> Iterator[LogEntry]:
    """The commits after `seen` that are not the bot's own, newest first. Raises Garbled if the Hub lists none."""
    me, commits = context.me(), context.hub.commits(repo, head, limit=MAX_COMMITS)
    if not commits:
        raise Garbled(f"The Hub lists no commit of {repo.id} up to {head[:8]}.")
    for entry in commits:
        if entry.oid == seen:
            return
        if not is_ours(me, entry):
            yield entry


def _check_commit(context: BoardContext, repo: Repo, entry: LogEntry, head: str) -> None:
    """Log the bot's files that `entry` removed and that are still gone, and restore them if that is safe."""
    changed = unless_gone(lambda: context.hub.changed_paths(repo, f"{entry.oid}^", entry.oid))
    paths = [path for path in changed or () if _is_ours(repo, context, path)]  # None: the repo's first commit
    present = context.hub.paths_info(repo, paths, head) if paths else {}
    author = entry.authors[0] if entry.authors else ""
    for path in paths:
        if path not in present:
            restored = (
                repo == context.results and not _is_maintainer(context, author) and _restore(context, path, entry.oid)
            )
            log.warning("removed by hand", repo=repo.id, path=path, by=author, commit=entry.oid, restored=restored)


def _is_ours(repo: Repo, context: BoardContext, path: str) -> bool:
    """Whether a path has the form of those that the bot publishes in `repo`."""
    folder, _, name = path.rpartition("/")
    if repo == context.results:
        return name.startswith("results_") and name.endswith(".json")
    return name in ("log.txt", "outcome.json") and number_in(folder.rpartition("/")[2]) > 0


def _is_maintainer(context: BoardContext, name: str) -> bool:
    """Whether the account of this name belongs to a maintainer."""
    account_id = user_id(context, name, fresh=True) if name else None
    if account_id is None:
        return False
    _, person_roles = roles(context, Person(account_id, name), model="", submitter="", fresh=True)
    return Role.MAINTAINER in person_roles


def _restore(context: BoardContext, path: str, removal: str) -> bool:
    """Stage the results at `path` as they were before the commit `removal` removed them.

    False if no request has them, if the history does not show them, or if they were restored before.
    """
    name = f"restore {path}"
    request = _finished_with(context, path)
    version = _last_version(context, path, removal) if request is not None else None
    if request is None or version is None or context.ledger.edits.landed(name):
        return False
    if name in named_edits(version.message) and is_own_work(context.me(), version):
        return False  # restored before: Redis forgets edits, the history does not
    file = _read(context, path, version.oid)
    if file is None:
        return False
    line = f"Put back results of {request.path.model}"
    put = PutFile(id=name, path=path, data=file.data, line=line)  # no subject: nothing about the request waits for it
    return context.effects.stage(context.results, put)


def _last_version(context: BoardContext, path: str, removal: str) -> LogEntry | None:
    """The newest commit before `removal` in which the bot or a maintainer wrote the file; None if there is none.

    Three calls for each version.
    """
    commit = removal
    for _ in range(MAX_VERSIONS):
        before = context.hub.commits(context.results, commit, limit=2)[1:]
        entry = context.hub.last_commit(context.results, path, before[0].oid) if before else None
        if entry is None or is_own_work(context.me(), entry) or _is_maintainer(context, next(iter(entry.authors), "")):
            return entry
        commit = entry.oid
    return None


def _read(context: BoardContext, path: str, revision: str) -> File | None:
    try:
        return context.hub.find_file(context.results, path, revision, max_bytes=MAX_BYTES)
    except TooLarge:
        return None  # not written by the bot


def _finished_with(context: BoardContext, results: str) -> Request | None:
    """The request that says FINISHED with the results at this path. A call for each request of the model."""
    for entry in context.index.of_model(results.rpartition("/")[0]):
        try:
            file = context.hub.find_file(context.requests, entry.path, max_bytes=context.board.max_request_bytes)
        except TooLarge:
            continue  # not written by the bot
        request = parse_request(entry.path, file.data) if file is not None else None
        if isinstance(request, Request) and _names_results(request, results):
            return request
    return None


def _names_results(request: Request, results: str) -> bool:
    return request.status is Status.FINISHED and request.file.steward.results == results


def missing_results(context: BoardContext) -> list[tuple[str, str]]:
    """(path of the request, path of its results) for each request that Steward finished and whose results are gone.

    One call for each thousand files of the results repo. Raises HubError and MirrorDamaged.
    """
    present = {file.path for file in context.hub.each_file(context.results)}
    head = context.mirror.fetch(context.requests, depth=0)
    with context.mirror.read(context.requests) as view:
        blobs = (blob for blob in view.files(head) if is_request_path(blob.path) and blob.oid is not None)
        files = ((blob.path, view.blob(blob.oid or "", max_bytes=context.board.max_request_bytes)) for blob in blobs)
        return [(path, results) for path, results in _results(files) if results not in present]


def _results(files: Iterable[tuple[str, bytes | None]]) -> Iterator[tuple[str, str]]:
    for path, data in files:
        request = parse_request(path, data) if data is not None and b'"results"' in data else None
        if isinstance(request, Request) and request.status is Status.FINISHED and request.file.steward.results:
            yield path, request.file.steward.results
