"""Numbers of earlier attempts at a request, for requests whose file and index entry no longer hold them.

This happens when a person overwrites the bot's file, or removes it and submits again, and Redis was lost or the file
was gone in between. Two sources remain: the logs repo has a folder for each attempt that ended, and earlier versions of
the file name each attempt that was claimed. A file that the bot saw appear where there was none has no earlier attempt.

Race closed: a running request is removed, which stops its worker, and submitted again at the same commit. No file holds
the end of that attempt, but Redis does: it does not count as the end of the new request.
Race accepted: a request is removed and submitted again between two syncs. It is then the same attempt, which continues;
the same holds for an attempt that only a worker knows, because Redis was lost.
Race accepted: an attempt that was claimed and never ended is forgotten if Redis is lost and, in addition, history is
squashed or more than MAX_VERSIONS files without Steward's facts follow.
"""

from __future__ import annotations

from bot.core.context import BoardContext
from hub.errors import NotFound, TooLarge
from leaderboard.attempts import number_in
from leaderboard.lifecycle import current_attempt_id, find_current_attempt, highest_used_number
from leaderboard.requests import Request, parse_request
from redis_state.board.entry import IndexEntry

MAX_VERSIONS = 3
"""Earlier versions of a file that are read: two calls for the first, four for each of the others."""


def used_numbers(context: BoardContext, request: Request, entry: IndexEntry) -> int:
    """The highest number of an attempt at `request`; 0 if there was none. One call; a few if the entry is not fresh."""
    logged = _logged(context, request)
    return logged if entry.fresh else max(logged, _in_history(context, str(request.path)))


def known_numbers(context: BoardContext, request: Request, entry: IndexEntry) -> int:
    """The same number, without a call if the index has it."""
    return entry.used if entry.used is not None else used_numbers(context, request, entry)


def numbers_before(context: BoardContext, request: Request, entry: IndexEntry, sha: str | None) -> int:
    """The highest used number of a request that is accepted at `sha`, attempts that ended in Redis included.

    So Redis holds nothing about the attempt that gets the next number.
    """
    used = known_numbers(context, request, entry)
    while True:
        current = find_current_attempt(request, used)
        attempt = current_attempt_id(context.board.name, request, current, sha)
        if attempt is None or current.number <= used or not context.attempts.is_over(attempt):
            return used
        used = current.number


def _logged(context: BoardContext, request: Request) -> int:
    """The highest number that has a folder in the logs repo."""
    board, model, path = context.board.name, request.path.model, str(request.path)
    try:
        files = context.hub.list_files(context.logs, folder=model)
    except NotFound:
        return 0
    folders = {file.path.removeprefix(f"{model}/").partition("/")[0] for file in files}
    return max((number_in(folder, board, path) for folder in folders), default=0)


def _in_history(context: BoardContext, path: str) -> int:
    """The highest number in the last version of the file that holds Steward's facts."""
    newest = context.index.origin(path).commit or _last_commit(context, path, "main")
    for _ in range(MAX_VERSIONS):
        before = context.hub.commits(context.requests, newest, limit=2)[1:] if newest else []
        number = _number_at(context, path, before[0].oid) if before else None
        if number is None or number:
            return number or 0
        newest = _last_commit(context, path, before[0].oid)
    return 0


def _last_commit(context: BoardContext, path: str, revision: str) -> str:
    newest = context.hub.last_commit(context.requests, path, revision)
    return newest.oid if newest is not None else ""


def _number_at(context: BoardContext, path: str, revision: str) -> int | None:
    """The highest number that the file named at `revision`; None if there was no file."""
    try:
        file = context.hub.find_file(context.requests, path, revision, max_bytes=context.board.max_request_bytes)
    except TooLarge:
        return 0
    if file is None:
        return None
    request = parse_request(path, file.data)
    return highest_used_number(request) if isinstance(request, Request) else 0
