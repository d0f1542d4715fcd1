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
from bot.core.mirrors.history import status_in
from bot.intake.deliveries import REQUESTS
from bot.processes.reconcile import thread_repos
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


def adopt(desk: BoardContext, *, by: Account | None = None, again: bool = False) -> AdoptionResult:
    """Write the record, unless there is one already. Raises HubError, MirrorDamaged and BadRecord.

    `by` is whom it names; None: the bot's own account. `again` writes another one over one that is there.
    """
    who = by or desk.me()
    found = desk.hub.retries.until(lambda: _once(desk, who, again=again), on=(StaleParent,), attempts=_TRIES)
    desk.mark(REQUESTS)
    return found


def _once(desk: BoardContext, by: Account, *, again: bool) -> AdoptionResult:
    head = desk.hub.head(desk.requests)
    known = desk.hub.find_file(desk.requests, RECORD, head, max_bytes=MAX_RECORD)
    if known is not None and not again:
        return AdoptionResult(parse_record(known.data), False, Counter())
    statuses = _statuses(desk, head)
    record = AdoptionRecord(
        board=desk.board.name,
        at=iso(desk.now()),
        by=AdoptingAccount(id=by.id, name=by.name),
        commits={desk.requests.id: head, **_heads(desk, desk.results, desk.logs)},
        threads={f"{repo.kind}/{repo.id}": _highest_thread(desk, repo) for repo in thread_repos(desk)},
        files=statuses.total(),
    )
    change = WriteFile(RECORD, record.model_dump_json(indent=2).encode() + b"\n")
    words = "What is here by now stays as it is; what comes from now on is in Steward's hands."
    desk.hub.commit(desk.requests, [change], TITLE, words, parent=head, regular=[RECORD])
    return AdoptionResult(record, True, statuses)


def _statuses(desk: BoardContext, head: str) -> Counter[str]:
    """How many request files have which status at `head`. A few calls, however many there are."""
    desk.mirror.fetch(desk.requests, depth=1)
    found: Counter[str] = Counter()
    with desk.mirror.read(desk.requests) as view:
        if not view.has(head):
            raise StaleParent(f"{desk.requests.id} moved on while it was looked at.")
        for blob in view.files(head):
            if is_request_path(blob.path) and blob.oid is not None:
                data = view.blob(blob.oid, max_bytes=desk.board.max_request_bytes)
                found[status_in(data) or "unreadable"] += 1
    return found


def _heads(desk: BoardContext, *repos: Repo) -> dict[str, str]:
    found = {}
    for repo in repos:
        try:
            found[repo.id] = desk.hub.head(repo)
        except NotFound:
            continue  # not made yet: nothing in it can be old
    return found


def _highest_thread(desk: BoardContext, repo: Repo) -> int:
    try:
        newest, _ = desk.hub.threads_page(repo, 0)
    except NotFound:
        return 0
    return max((thread.num for thread in newest), default=0)
