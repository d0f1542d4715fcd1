"""What was here before Steward, and who else is at work: nothing old may be touched, and nobody else's work undone."""

from __future__ import annotations

from collections.abc import Sequence

from bot.core.adoption import find_record
from bot.core.context import BoardContext
from bot.core.former_paths import at_former_paths
from bot.evaluations.restore_deleted import missing_results
from bot.setup.doctor.findings import Check, Checks
from bot.setup.history import RequestFileChange, changes, status_in
from hub.errors import NotFound
from leaderboard.adoption import BadRecord, parse_record
from leaderboard.requests import is_request_path
from redis_state.clock import iso

QUIET = 24 * 3600.0
"""Seconds for which nobody else may have changed a status before effects are switched on."""
OTHERS_MEND = "Stop what else evaluates for this board, and leave edits in shadow until a day has passed without it."
ENDS = ("FINISHED", "FAILED", "PENDING_NEW_EVAL", "CANCELLED")


def adoption(context: BoardContext, *, on: bool) -> Checks:
    """Whether there is a record of what is old, and it can be gone by; `on`: effects are on, or about to be."""
    file = find_record(context.hub, context.requests)
    if file is None:
        yield _not_adopted(context, on=on)
        return
    try:
        record = parse_record(file.data)
    except BadRecord as error:
        yield Check("adoption", "error", str(error), "Run `steward adopt --again`, or restore the file.")
        return
    commit = record.commit(context.requests.id)
    try:
        known = bool(commit and context.hub.commits(context.requests, commit, limit=1))
    except NotFound:
        known = False
    if known:
        words = f"Adopted at {record.at} by {record.by.name}: {record.files:,} older requests are left in peace."
        yield Check("adoption", "ok", words)
    else:
        mend = "Run `steward adopt --again`: all that is there by then counts as old."
        yield Check("adoption", "error", "The commit of adoption is not in the history any more.", mend)


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
    """Without a record nothing is old. That is right for a new board, and for no other."""
    head = context.mirror.fetch(context.requests, depth=1)
    with context.mirror.read(context.requests) as view:
        files = (blob.oid for blob in view.files(head) if is_request_path(blob.path) and blob.oid is not None)
        older = sum(_ended_without_us(view.blob(oid, max_bytes=context.board.max_request_bytes)) for oid in files)
    if not older:
        return Check("adoption", "ok", "There is nothing here from before Steward.")
    words = f"{older:,} requests ended without Steward, and the board was not adopted: all of them count as new."
    return Check("adoption", "error" if on else "warning", words, "Run `steward adopt` before effects are switched on.")


def _ended_without_us(data: bytes | None) -> bool:
    return data is not None and status_in(data) in ENDS and b'"steward"' not in data


def other_accounts(context: BoardContext, *, on: bool) -> Checks:
    """Whether anybody but the bot and the forms of the board changed a status within a day."""
    me, ours = context.me(), dict[str, bool]()
    found: dict[str, list[RequestFileChange]] = {}
    for change in changes(context, since=context.now() - QUIET):
        if not change.changes_status or change.author == me.name:
            continue
        if change.author not in ours:
            ours[change.author] = _is_front_end(context, change.author)
        if not ours[change.author]:
            found.setdefault(change.author, []).append(change)
    for author, made in found.items():
        yield Check("other accounts", "error" if on else "warning", _author_words(author, made), OTHERS_MEND)
    if not found:
        yield Check("other accounts", "ok", "Nobody but the bot and the board's forms changed a status within a day.")


def _author_words(author: str, made: Sequence[RequestFileChange]) -> str:
    last = made[0]
    when = f" at {iso(last.date.timestamp())}" if last.date is not None else ""
    words = f"{author} changed {len(made)} statuses within a day"
    return f"{words}, the last{when}: {last.path} {last.before} → {last.after}."


def _is_front_end(context: BoardContext, name: str) -> bool:
    try:
        return context.hub.user(name).id in context.board.front_ends
    except NotFound:
        return False


def results(context: BoardContext) -> Checks:
    """Whether what was finished still has its results."""
    gone = missing_results(context)
    if not gone:
        yield Check("results", "ok", "Every request that was finished here has its results.")
        return
    request, results = gone[0]
    words = f"The results of {len(gone):,} finished requests are gone from {context.results.id}: {results} of {request}"
    mend = "Revert the commit that removed them; or, if they are to be gone, set their requests to CANCELLED."
    yield Check("results", "warning", f"{words}{' first' if len(gone) > 1 else ''}.", mend)
