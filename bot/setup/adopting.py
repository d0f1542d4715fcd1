"""Take over a living board: one commit, of one file, that says as of when.

Race closed: somebody commits between the look at the board and the record. The record's parent is the very commit that
it names, or it does not land, and all is looked at anew.
Race closed: dying between the record and the mark. The next round of the reconciler finds the commit.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from bot.core.adoption import TITLE
from bot.core.context import BoardContext
from bot.core.former_paths import move
from bot.core.watched_repos import thread_repos
from bot.intake.deliveries import REQUESTS
from bot.setup.history import status_in
from hub.errors import NotFound, StaleParent
from hub.records import Account, Repo, WriteFile
from leaderboard.adoption import MAX_RECORD, RECORD, AdoptingAccount, AdoptionRecord, parse_record
from leaderboard.requests import is_request_path
from redis_state.clock import iso

_TRIES = 5


@dataclass(frozen=True)
class AdoptionResult:
    """The board's record; whether it was written just now, and then how many files had which status."""

    record: AdoptionRecord
    is_new: bool
    statuses: Counter[str]


def adopt(context: BoardContext, *, by: Account | None = None, again: bool = False) -> AdoptionResult:
    """Write the record, unless there is one already. Raises HubError, MirrorDamaged and BadRecord.

    `by` is whom it names; None: the bot's own account. `again` writes another one over one that is there. A record at
    its former path is moved, whatever the board's effects are: an operator asks for this by name.
    """
    who = by or context.me()
    while move(context, context.requests):
        pass
    found = context.hub.retries.until(lambda: _once(context, who, again=again), on=(StaleParent,), attempts=_TRIES)
    context.mark(REQUESTS)
    return found


def _once(context: BoardContext, by: Account, *, again: bool) -> AdoptionResult:
    head = context.hub.head(context.requests)
    known = context.hub.find_file(context.requests, RECORD, head, max_bytes=MAX_RECORD)
    if known is not None and not again:
        return AdoptionResult(parse_record(known.data), False, Counter())
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
    words = "What is here by now stays as it is; what comes from now on is in Steward's hands."
    context.hub.commit(context.requests, [change], TITLE, words, parent=head, regular=[RECORD])
    return AdoptionResult(record, True, statuses)


def _statuses(context: BoardContext, head: str) -> Counter[str]:
    """How many request files have which status at `head`. A few calls, however many there are."""
    context.mirror.fetch(context.requests, depth=1)
    found: Counter[str] = Counter()
    with context.mirror.read(context.requests) as view:
        if not view.has(head):
            raise StaleParent(f"{context.requests.id} moved on while it was looked at.")
        for blob in view.files(head):
            if is_request_path(blob.path) and blob.oid is not None:
                data = view.blob(blob.oid, max_bytes=context.board.max_request_bytes)
                found[status_in(data) or "unreadable"] += 1
    return found


def _heads(context: BoardContext, *repos: Repo) -> dict[str, str]:
    found = {}
    for repo in repos:
        try:
            found[repo.id] = context.hub.head(repo)
        except NotFound:
            continue  # not made yet: nothing in it can be old
    return found


def _highest_thread(context: BoardContext, repo: Repo) -> int:
    try:
        newest, _ = context.hub.threads_page(repo, 0)
    except NotFound:
        return 0
    return max((thread.num for thread in newest), default=0)
