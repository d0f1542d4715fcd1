"""Which attempts were made at a request before, where neither its file nor the index tells any more.

That is so where somebody wrote a new file over ours, or removed it and submitted again, and Redis was lost or the file
gone meanwhile. What is left is looked at: every attempt that ended has a folder in the logs repo, and every one that
was claimed stands in an earlier version of the file. A file that we saw appear where there was none has none.

Race closed: a request that runs is removed, which stops its worker, and submitted again at the same commit. No file is
there to keep how that attempt ended, but Redis knows it: its end is not that of the new request.
Race accepted: it is removed and submitted again between two looks. That is the same attempt still, and it goes on; so
does one of which only a worker knows any more, for Redis was lost meanwhile.

Accepted too: what was claimed and never ended is not known any more after history was squashed, or behind more than
VERSIONS files without our facts, and only if Redis was lost as well.
"""

from __future__ import annotations

from bot.core.context import BoardContext
from hub.errors import NotFound, TooLarge
from leaderboard.attempts import number_in
from leaderboard.lifecycle import current_attempt_id, find_current_attempt, highest_used_number
from leaderboard.requests import Request, parse_request
from redis_state.board.entry import IndexEntry

VERSIONS = 3
"""Earlier versions of a file that are looked at: two calls for the first, four for each of the others."""


def used_numbers(context: BoardContext, request: Request, entry: IndexEntry) -> int:
    """The highest number of an attempt at `request`, 0 where there was none. One call; a few where it is not fresh."""
    logged = _logged(context, request)
    return logged if entry.fresh else max(logged, _in_history(context, str(request.path)))


def known_numbers(context: BoardContext, request: Request, entry: IndexEntry) -> int:
    """`used_numbers`, without a call where the index knows."""
    return entry.used if entry.used is not None else used_numbers(context, request, entry)


def numbers_before(context: BoardContext, request: Request, entry: IndexEntry, sha: str | None) -> int:
    """`known_numbers` of a request that is accepted at `sha`, and those of attempts there that Redis knows to be over:
    whoever has the next one must find nothing said of it."""
    used = known_numbers(context, request, entry)
    while True:
        now = find_current_attempt(request, used)
        attempt = current_attempt_id(context.board.name, request, now, sha)
        if attempt is None or now.number <= used or not context.attempts.is_over(attempt):
            return used
        used = now.number


def _logged(context: BoardContext, request: Request) -> int:
    """As far as the logs repo tells."""
    board, model, path = context.board.name, request.path.model, str(request.path)
    try:
        files = context.hub.list_files(context.logs, folder=model)
    except NotFound:
        return 0
    folders = {file.path.removeprefix(f"{model}/").partition("/")[0] for file in files}
    return max((number_in(folder, board, path) for folder in folders), default=0)


def _in_history(context: BoardContext, path: str) -> int:
    """As far as the version of the file tells that was there before people wrote theirs."""
    newest = context.index.origin(path).commit or _last_commit(context, path, "main")
    for _ in range(VERSIONS):
        before = context.hub.commits(context.requests, newest, limit=2)[1:] if newest else []
        found = _spent_at(context, path, before[0].oid) if before else None
        if found is None or found:
            return found or 0
        newest = _last_commit(context, path, before[0].oid)
    return 0


def _last_commit(context: BoardContext, path: str, revision: str) -> str:
    newest = context.hub.last_commit(context.requests, path, revision)
    return newest.oid if newest is not None else ""


def _spent_at(context: BoardContext, path: str, revision: str) -> int | None:
    """What the file said at `revision`; None where there was none."""
    try:
        file = context.hub.find_file(context.requests, path, revision, max_bytes=context.board.max_request_bytes)
    except TooLarge:
        return 0
    if file is None:
        return None
    request = parse_request(path, file.data)
    return highest_used_number(request) if isinstance(request, Request) else 0
