"""Checks of the board's past and of other writers: old requests stay untouched, and no other program works on it."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.commit_origins import is_front_end
from bot.core.context import BoardContext
from bot.core.former_paths import at_former_paths
from bot.evaluations.restore_deleted import missing_results
from bot.setup.doctor.findings import Check, Checks
from bot.setup.history import RequestFileChange, request_file_changes, status_in
from hub.errors import NotFound
from leaderboard.adoption import BadRecord, parse_record
from leaderboard.request_paths import is_request_path
from redis_state.clock import iso

QUIET_SECONDS = 24 * 3600.0
"""Without changes of a status by other accounts, before effects may be switched on."""
OTHERS_FIX = "Stop the other program that evaluates for this board, and keep edits in shadow for a day after that."
ENDS = ("FINISHED", "FAILED", "PENDING_NEW_EVAL", "CANCELLED")


def adoption(context: BoardContext, *, on: bool) -> Checks:
    """Whether there is a usable record of the board's adoption. `on`: effects are on, or about to be."""
    file = context.adoption.find()
    if file is None:
        yield _not_adopted(context, on=on)
        return
    try:
        record = parse_record(file.data, context.board.name)
    except BadRecord as error:
        yield Check("adoption", "error", str(error), "Run `steward adopt --again`, or restore the file.")
        return
    commit = record.commit(context.requests.id)
    try:
        is_in_history = bool(commit and context.hub.commits(context.requests, commit, limit=1))
    except NotFound:
        is_in_history = False
    if is_in_history:
        words = f"Adopted at {record.at} by {record.by.name}: {record.files:,} older requests stay untouched."
        yield Check("adoption", "ok", words)
    else:
        fix = "Run `steward adopt --again`: every request that exists then counts as old."
        yield Check("adoption", "error", "The commit of adoption is not in the history any more.", fix)


def own_files(context: BoardContext, *, on: bool) -> Checks:
    """Whether front ends read a file of ours as a request or as results: as files named `*.json` are."""
    requests, results = (at_former_paths(context, repo) for repo in (context.requests, context.results))
    moves = "Start `steward sync` of this version: it moves them within half an hour."
    if requests:
        words = (
            f"{' and '.join(entry.path for entry in requests)} in {context.requests.id}: front ends read every *.json "
            "there as a request, and their queue pages and submit checks end in a KeyError."
        )
        yield Check(
            "own files", "warning", words, moves if on else "Run `steward adopt`: it moves them, and nothing else."
        )
    if results:
        words = (
            f"{len(results):,} files of removed models in {context.results.id}, the first {results[0].path}: front "
            "ends read every *.json there as results."
        )
        yield Check("own files", "warning", words, moves if on else "Switch `edit` on: `steward sync` then moves them.")
    if not requests and not results:
        yield Check("own files", "ok", "No file of Steward has a name that front ends take for a request or results.")


def _not_adopted(context: BoardContext, *, on: bool) -> Check:
    """Without a record no request counts as old, which is right only for a new board."""
    head = context.mirror.fetch(context.requests, depth=1)
    with context.mirror.read(context.requests) as view:
        files = (blob.oid for blob in view.files(head) if is_request_path(blob.path) and blob.oid is not None)
        older = sum(_ended_without_us(view.blob(oid, max_bytes=context.board.max_request_bytes)) for oid in files)
    if not older:
        return Check("adoption", "ok", "The board has no requests from before Steward.")
    words = f"{older:,} requests ended without Steward, and the board was not adopted: all of them count as new."
    return Check("adoption", "error" if on else "warning", words, "Run `steward adopt` before effects are switched on.")


def _ended_without_us(data: bytes | None) -> bool:
    return data is not None and status_in(data) in ENDS and b'"steward"' not in data


def other_accounts(context: BoardContext, *, on: bool) -> Checks:
    """Whether an account other than the bot and the board's front ends changed a status within a day."""
    me, front_ends = context.me(), dict[str, bool]()
    by_author: dict[str, list[RequestFileChange]] = {}
    for change in request_file_changes(context, since=context.now() - QUIET_SECONDS):
        if not change.changes_status or change.author == me.name:
            continue
        if change.author not in front_ends:
            front_ends[change.author] = is_front_end(context, change.author)
        if not front_ends[change.author]:
            by_author.setdefault(change.author, []).append(change)
    for author, changes in by_author.items():
        yield Check("other accounts", "error" if on else "warning", _author_words(author, changes), OTHERS_FIX)
    if not by_author:
        yield Check("other accounts", "ok", "Only the bot and the board's forms changed a status within a day.")


def _author_words(author: str, changes: Sequence[RequestFileChange]) -> str:
    last = changes[0]
    when = f" at {iso(last.date.timestamp())}" if last.date is not None else ""
    words = f"{author} changed {len(changes)} statuses within a day"
    return f"{words}, the last{when}: {last.path} {last.before} → {last.after}."


def results(context: BoardContext) -> Checks:
    """Whether every finished request still has its results."""
    missing = missing_results(context)
    if not missing:
        yield Check("results", "ok", "Every finished request has its results.")
        return
    request, results = missing[0]
    words = f"The results of {len(missing):,} finished requests are gone from {context.results.id}"
    example = f"{'for example ' if len(missing) > 1 else ''}{results} of {request}"
    fix = "Revert the commit that removed them. If the removal was intended, set their requests to CANCELLED."
    yield Check("results", "warning", f"{words}: {example}.", fix)
