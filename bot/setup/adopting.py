"""Adopt an existing board: one commit, of one file, that records its state at that moment.

Race closed: another account commits while the board is read. The record's parent is the commit that it names, or it
does not land, and the board is read again.
Race closed: the command dies between the record and the mark. The next round of the reconciler finds the commit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial

from bot.core.adoption import TITLE
from bot.core.context import BoardContext
from bot.core.former_paths import move
from bot.core.watched_repos import thread_repos
from bot.intake.deliveries import REQUESTS
from bot.setup.history import status_in
from hub.errors import StaleParent
from hub.records import Account, Repo, WriteFile
from hub.retries import unless_gone
from leaderboard.adoption import MAX_RECORD, RECORD, AdoptingAccount, AdoptionRecord, parse_record
from leaderboard.request_paths import is_request_path
from redis_state.clock import iso

_TRIES = 5


@dataclass(frozen=True)
class AdoptionResult:
    """The board's record; whether this call wrote it, and then the numbers of files by status."""

    record: AdoptionRecord
    is_new: bool
    statuses: Counter[str]


def adopt(context: BoardContext, *, by: Account | None = None, again: bool = False) -> AdoptionResult:
    """Write the record, unless there is one already. Raises HubError, MirrorDamaged and BadRecord.

    `by` is the account that it names; None: the bot's own. `again` overwrites an existing record. A record at its
    former path is moved even if the board's effects are off, because an operator runs this command on purpose.
    """
    account = by or context.me()
    while move(context, context.requests):
        pass
    result = context.hub.retries.until(lambda: _once(context, account, again=again), on=(StaleParent,), attempts=_TRIES)
    context.mark(REQUESTS)
    return result


def _once(context: BoardContext, by: Account, *, again: bool) -> AdoptionResult:
    head = context.hub.head(context.requests)
    known = context.request_files.read(RECORD, head, max_bytes=MAX_RECORD)
    if known is not None and not again:
        return AdoptionResult(parse_record(known.data, context.board.name), False, Counter())
    statuses = _statuses(context, head)
    record = AdoptionRecord(
        board=context.board.name,
        at=iso(context.now()),
        by=AdoptingAccount(id=by.id, name=by.name),
        commits={context.requests.id: head, **_heads(context, context.results, context.logs)},
        threads={f"{repo.kind}/{repo.id}": _highest_thread(context, repo) for repo in thread_repos(context)},
        files=statuses.total(),
    )
    change = WriteFile(RECORD, record.model_dump_json(indent=2).encode() + b"\n")
    description = "Existing requests stay as they are. Steward handles all requests from now on."
    context.hub.commit(context.requests, [change], TITLE, description, parent=head, regular=[RECORD])
    return AdoptionResult(record, True, statuses)


def _statuses(context: BoardContext, head: str) -> Counter[str]:
    """The numbers of request files by status at `head`. A few calls, whatever the number of files."""
    context.mirror.fetch(context.requests, depth=1)
    statuses: Counter[str] = Counter()
    with context.mirror.read(context.requests) as view:
        if not view.has(head):
            raise StaleParent(f"{context.requests.id} changed while it was read.")
        for blob in view.files(head):
            if is_request_path(blob.path) and blob.oid is not None:
                data = view.blob(blob.oid, max_bytes=context.board.max_request_bytes)
                statuses[status_in(data) or "unreadable"] += 1
    return statuses


def _heads(context: BoardContext, *repos: Repo) -> dict[str, str]:
    heads = {repo.id: unless_gone(partial(context.hub.head, repo)) for repo in repos}
    return {name: head for name, head in heads.items() if head is not None}  # a repo that is missing has no old files


def _highest_thread(context: BoardContext, repo: Repo) -> int:
    newest, _ = unless_gone(lambda: context.hub.threads_page(repo, 0)) or ([], False)
    return max((thread.num for thread in newest), default=0)
