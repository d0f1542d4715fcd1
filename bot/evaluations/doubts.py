"""Sets an account aside whose workers published answers that are not the model's, and marks its earlier results.

It marks the account's results since its last good cross-check, except those whose answers a worker confirmed. The mark
is `doubted` in the `steward` block of a results file; scores stay as they are, and maintainers decide about them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import structlog

from bot.core.context import BoardContext
from bot.core.waiting_threads import DIGEST
from bot.ledger.edits import FieldEdit, PutFile
from bot.results.contents import gather
from bot.results.scoreboard import SCORES_CHANGED
from leaderboard.evaluations import MeasuredResults, is_results_path, measure
from leaderboard.times import read_time
from redis_state.clock import iso
from redis_state.dirty import SyncPriority
from redis_state.set_aside import SetAsideWorker, account_name

log = structlog.get_logger()

DOUBTED = "Answers that {account} published later ({attempt}, {at}) were not the model's, by workers of other accounts."


def set_account_aside(context: BoardContext, account: str, *, attempt: str, path: str, reason: str) -> None:
    """Let no worker of `account` take jobs, mark its results since its last good check, and notify the maintainers.

    Does nothing for an account that is set aside already. Raises HubError and MirrorDamaged.
    """
    name = account_name(account)
    if context.set_aside.includes(name):
        return
    marked = mark_results(context, account, attempt=attempt)
    log.error("account set aside", account=account, attempt=attempt, reason=reason, marked=marked)
    now = context.now()
    context.set_aside.put(
        SetAsideWorker(worker=name, account=account, attempt=attempt, path=path, reason=reason[:2_000], at=now)
    )
    context.mark(DIGEST, SyncPriority.EVENT)


def mark_results(context: BoardContext, account: str, *, attempt: str) -> int:
    """Stage marks in the results of `account` since its last good check, also in staged ones; return how many."""
    reason = DOUBTED.format(account=account, attempt=attempt, at=iso(context.now()))
    staged = dict(_staged_results(context))  # first: those that land meanwhile are read in the repo
    measured = {**{path: results for path, (results, _) in staged.items()}, **gather(context).measured}
    edits = [
        _mark(results.path, attempt, reason, after=(staged[results.path][1],) if results.path in staged else ())
        for results in since_last_good_check(list(measured.values()), account)
    ]
    if edits:
        context.effects.stage(context.results, *edits)
    return len(edits)


def _staged_results(context: BoardContext) -> Iterator[tuple[str, tuple[MeasuredResults, str]]]:
    """Path → the results and the id of each staged edit that writes a results file."""
    for staged in context.ledger.edits.read(context.results):
        edit = staged.edit
        if isinstance(edit, PutFile) and is_results_path(edit.path):
            results = measure(edit.path, edit.data, context.suite)
            if results is not None:
                yield edit.path, (results, edit.id)


def since_last_good_check(measured: list[MeasuredResults], account: str) -> Iterator[MeasuredResults]:
    """The results of `account` that were settled after its last good check, and that no worker confirmed.

    The bot's own times count: a worker names its results files, and scores may be computed again later. A check without
    a time, from an earlier version, covers no other results.
    """
    own = [
        (results, results.again)
        for results in measured
        if results.again and results.again.worker.casefold() == account.casefold()
    ]
    good = max((read_time(again.at) or 0.0 for _, again in own if again.status == "agrees"), default=0.0)
    return (
        results
        for results, again in sorted(own, key=lambda pair: pair[0].path)
        if again.status != "agrees" and (read_time(again.at) or math.inf) > good
    )


def _mark(path: str, attempt: str, reason: str, *, after: tuple[str, ...]) -> FieldEdit:
    name = hashlib.sha256(f"{path} {attempt}".encode()).hexdigest()[:16]
    return FieldEdit(
        id=f"doubt {name}",
        path=path,
        line="Mark results as doubted",
        facts={"doubted": reason},
        after=after,
        wake=(SCORES_CHANGED,),
    )
