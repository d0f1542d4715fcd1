"""Numbers of earlier attempts at a request, for requests whose file and index entry no longer hold them.

This happens when a person overwrites the bot's file, or removes it and submits again, and Redis was lost or the file
was gone in between. Three sources remain. The logs repo has a folder for each attempt that ended. Earlier versions of
the file hold the number. And each claim is a commit of the bot whose message names the attempt, also where the file was
removed and no log was written. Claims are read from the list of commits, once for all requests, and Redis keeps them
(`redis_state.board.claimed_numbers`): a later request costs the commits since.

Race closed: a running request is removed, which stops its worker, and submitted again at the same commit. No file holds
the end of that attempt, but Redis does: it does not count as the end of the new request.
Race closed: the same, and Redis is lost before the new file is judged. The claim's commit names the number.
Race accepted: a request is removed and submitted again between two syncs. It is then the same attempt, which continues;
the same holds for an attempt that only a worker knows, because Redis was lost.
Race accepted: an attempt that was claimed and never ended is forgotten if Redis is lost, the last MAX_VERSIONS versions
of the file do not name it, and in addition history is squashed, more than MAX_COMMITS commits follow, or the claim's
commit had more edits than its message can name.
"""

from __future__ import annotations

from itertools import islice

from bot.core.commit_origins import is_own_work
from bot.core.context import BoardContext
from bot.core.log_repos import logs_repo
from bot.ledger.edits import named_edits
from hub.errors import NotFound, TooLarge
from hub.records import Repo
from leaderboard.attempts import attempt_prefix, number_in
from leaderboard.lifecycle import current_attempt_id, find_current_attempt, highest_used_number
from leaderboard.requests import Request, parse_request
from redis_state.board.entry import IndexEntry

MAX_VERSIONS = 3
"""Earlier versions of a file that are read: two calls for the first, four for each of the others."""
MAX_COMMITS = 5_000
"""Commits that are searched for claims, newest first."""
_FIRST_PAGE, _PAGE = 1_000, 100
"""Commits in one answer of the Hub: for the first search, and for later ones."""
CLAIM = "run"
"""First word of the id of the edit that claims an attempt: `run {attempt}`."""


def used_numbers(context: BoardContext, request: Request, entry: IndexEntry) -> int:
    """The highest number of an attempt at `request`; 0 if there was none.

    One call, and those of `claimed_number`; a few more if the entry is not fresh.
    """
    path = str(request.path)
    known = max(_logged(context, request), claimed_number(context, path, context.request_files.newest()))
    return known if entry.fresh else max(known, _in_history(context, path))


def known_numbers(context: BoardContext, request: Request, entry: IndexEntry) -> int:
    """The highest number of an attempt at `request`, by the index if it has one: then without a call."""
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
    """The highest number that has a folder in a logs repo: one call for each repo that may have one."""
    access = request.file.steward.access or "public"
    repos = dict.fromkeys((context.logs, logs_repo(context, access)))
    return max(_logged_in(context, repo, request) for repo in repos)


def _logged_in(context: BoardContext, repo: Repo, request: Request) -> int:
    board, model, path = context.board.name, request.path.model, str(request.path)
    try:
        files = context.hub.list_files(repo, folder=model)
    except NotFound:
        return 0
    folders = {file.path.removeprefix(f"{model}/").partition("/")[0] for file in files}
    return max((number_in(folder, board, path) for folder in folders), default=0)


def claimed_number(context: BoardContext, path: str, head: str) -> int:
    """The highest number at `path` that a commit of the bot up to `head` claimed; 0 where none did.

    No call where the commits up to `head` were read for another request, else mostly one; the first time up to
    MAX_COMMITS / _FIRST_PAGE.
    """
    prefix = attempt_prefix(context.board.name, path)
    number, until = context.claimed_numbers.read(prefix)
    if until == head:
        return number
    claims = _claims(context, head, until)
    context.claimed_numbers.record(claims, since=until, until=head)
    return max(number, claims.get(prefix, 0))


def _claims(context: BoardContext, head: str, until: str) -> dict[str, int]:
    """Prefix of attempt ids → the highest number claimed in the commits from `head` back to `until`, exclusive."""
    me, numbers = context.me(), dict[str, int]()
    commits = context.hub.history(context.requests, head, page=_PAGE if until else _FIRST_PAGE)
    for entry in islice(commits, MAX_COMMITS):
        if entry.oid == until:
            break
        if not is_own_work(me, entry):
            continue
        for edit in named_edits(entry.message):
            word, _, attempt = edit.partition(" ")
            if word == CLAIM and (number := number_in(attempt)):
                numbers[attempt[:12]] = max(number, numbers.get(attempt[:12], 0))
    return numbers


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
