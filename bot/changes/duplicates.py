"""Duplicates: pairs of requests for the same evaluation. A daily sync reports each pair once, in its own thread, with a
proposal to withdraw one of the two.

The sync compares paths in the mirror and reads only files whose paths are similar. The marker of the bot's thread shows
that a pair was reported, also after Redis is lost. Redis holds the reported pairs too, so that pairs which stay cost no
calls and do not keep others from being reported. Pairs from before the board's adoption are not reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import structlog

from bot.changes import proposals
from bot.changes.changesets import ApprovedPart, ChangesetPart
from bot.changes.proposal_text import Note
from bot.core.context import BoardContext
from bot.core.mirrors.folder import MirrorDamaged
from bot.core.own_threads import find_own
from bot.core.render import render
from hub.errors import TooLarge
from hub.records import Repo
from leaderboard.adoption import is_old
from leaderboard.duplicates import DuplicatePair, find_duplicates, hash_of, possible_duplicates, repeated
from leaderboard.holds import Hold
from leaderboard.reasons import Problem, Reason
from leaderboard.removals import remove_request
from leaderboard.request_paths import is_request_path
from leaderboard.requests import Request, parse_request
from redis_state.clock import iso
from redis_state.redis import text

if TYPE_CHECKING:
    from bot.core.mirrors.mirror import MirrorView

log = structlog.get_logger()

DUPLICATES = "duplicates"
"""Dirty key: search for duplicates."""
MAX_REPORTED, MAX_TRIED = 10, 50
"""The most pairs that one sync reports, since each new thread notifies every watcher, and that it tries to report."""

GONE = Reason("not-double", "{path} is no longer a duplicate.", "There is nothing left to do.")


def sync_duplicates(context: BoardContext) -> None:
    """Report at most MAX_REPORTED new pairs: a few calls for each, none where there is no new pair.

    The sync uses the mirror as it is, without a refresh; a board without a mirror waits for the next day.
    """
    head = context.index.head(context.requests.id)
    try:
        with context.mirror.read(context.requests) as view:
            pairs = list(_find(context, view, head)) if head is not None and view.has(head) else []
    except MirrorDamaged:
        return
    reported = {text(name) for name in context.redis.smembers(context.keys.doubles)}
    if gone := reported - {_name(pair) for pair in pairs}:
        context.redis.srem(context.keys.doubles, *gone)
    count = 0
    for pair in [pair for pair in pairs if _name(pair) not in reported][:MAX_TRIED]:
        if count == MAX_REPORTED:
            break
        if _report(context, pair):
            context.redis.sadd(context.keys.doubles, _name(pair))
            count += 1


def _name(pair: DuplicatePair) -> str:
    return f"{pair.keep.path}\0{pair.lose.path}"


def _find(context: BoardContext, view: MirrorView, head: str) -> Iterator[DuplicatePair]:
    twice = repeated(blob.path for blob in view.files(head) if is_request_path(blob.path))
    requests = (blob for blob in view.files(head) if is_request_path(blob.path) and hash_of(blob.path) in twice)
    oids = {blob.path: blob.oid for blob in requests if blob.oid is not None}
    for group in possible_duplicates(oids):
        data = {path: view.blob(oids[path], max_bytes=context.board.max_request_bytes) or b"" for path in group}
        parsed = (parse_request(path, raw) for path, raw in data.items())
        adopted = dict(zip(group, context.adoption.blobs(group), strict=True))
        for pair in find_duplicates(request for request in parsed if isinstance(request, Request)):
            members = ((str(request.path), request) for request in (pair.keep, pair.lose))
            if not all(is_old(adopted[path], oids[path], request) for path, request in members):
                yield pair


def _report(context: BoardContext, pair: DuplicatePair) -> bool:
    """Open the thread of a pair and propose the withdrawal in it, unless that was done before. Return whether the pair
    needs nothing more."""
    keep, lose = str(pair.keep.path), str(pair.lose.path)
    name, marker = f"Requests twice: {pair.lose.path.model}"[:200], context.marker("duplicate", f"{keep} {lose}")
    words = {"model": pair.lose.path.model, "keep": keep, "lose": lose, "at": iso(context.now())}
    part = plan(context, words, context.requests)
    if isinstance(part, Problem):
        log.info("duplicate cannot be withdrawn now", lose=lose, why=part.message)
        return False
    own_thread = find_own(context, name, marker, "")
    urls = {"keep_url": context.address(context.requests, keep), "lose_url": context.address(context.requests, lose)}
    body = render("duplicate", keep=keep, lose=lose, **urls)
    number = (
        own_thread[0] if own_thread else context.effects.open_thread(context.requests, name, body, marker, looked=True)
    )
    if number is None:
        return False
    thread = context.hub.thread(context.requests, number)
    if thread.status != "open" or proposals.find(context, thread):
        return True
    proposal = proposals.propose(context, "cure", words, [part])
    return proposals.post(context, context.requests, thread, f"duplicate:{number}", proposal) is not None


# --- as a `ChangeKind` of `applying`


def title(words: dict[str, str]) -> str:
    """The title of the commit."""
    return f"Withdraw {words['lose']}, which is there twice"


def plan(context: BoardContext, words: dict[str, str], repo: Repo) -> ChangesetPart | Problem:
    """Plan to withdraw one request of the pair; `/restore` can put it back."""
    head = context.hub.head(repo)
    requests = []
    for path in (words["keep"], words["lose"]):
        try:
            file = context.hub.find_file(repo, path, head, max_bytes=context.board.max_request_bytes)
        except TooLarge:
            file = None
        request = parse_request(path, file.data) if file is not None else None
        if not isinstance(request, Request):
            return GONE.problem(path=path)
        requests.append(request)
    pairs = [(str(pair.keep.path), str(pair.lose.path)) for pair in find_duplicates(requests)]
    if (words["keep"], words["lose"]) not in pairs:  # a person removed or resubmitted one since the proposal
        return GONE.problem(path=words["lose"])
    why = Hold(reason=f"It is there twice: see {words['keep']}", by=context.me().name, at=words["at"])
    removal = remove_request(requests[1], why)
    if removal is None:
        return GONE.problem(path=words["lose"])
    return removal if isinstance(removal, Problem) else ChangesetPart(repo, head, (removal,))


def objection(
    context: BoardContext, words: dict[str, str], commit_title: str, parts: Sequence[ApprovedPart]
) -> Problem | None:
    """Return no objection: `plan` makes all checks."""
    del context, words, commit_title, parts
    return None


def follow_up(
    context: BoardContext, words: dict[str, str], commits: Sequence[tuple[Repo, str]], cause: str
) -> tuple[Note, ...]:
    """Return no notes: nothing follows from a withdrawal."""
    del context, words, commits, cause
    return ()
