"""The flags of a board in step with their repo: read, compiled into the tables, and told in their threads.

The records are what people and the bot decided; the tables follow from them, whoever changed them.

Race closed: read, and dead, or refused by the Hub, before the threads of what changed were marked. The commit whose
changes were marked is noted apart; where it is not the one that was read, all threads of flags are looked at.

    flags            the repo may have another commit                                                   1 call
    evidence:{m}     a model was reported                                                              some dozen
    cause:{m}        once a day, and when somebody pleads: is the cause of its flag gone?              some dozen
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.context import BoardContext
from bot.flags import evidence_recheck
from bot.flags.flag_files import table_edits
from bot.flags.flag_thread import mark_threads
from bot.flags.report_intake import tell_reporters
from bot.flags.reports import drop_report, reports
from bot.results.contents import mark_contents
from leaderboard.flags import FlagRecord


def sync_flags(context: BoardContext) -> None:
    """Read what changed in the flags repo, have the tables compiled, and the threads of what changed looked at."""
    repo, book = context.flags_repo, context.flag_book
    if repo is None:
        return
    life = context.index.life()
    before = {record.model: record for record in book.records()}
    # Whoever read the newest commit and died, or failed, before the threads were marked left its head unnoted.
    is_new = context.index.head(repo.id) not in (None, book.known()[0])
    book.refresh()
    records = book.records()
    changed = [record for record in records if is_new or before.get(record.model) != record]
    mark_threads(context, changed)
    if changed or len(before) != len(records):
        mark_contents(context)
    context.index.put_head(repo.id, book.known()[0], life)
    if edits := table_edits(context, records):
        context.effects.stage(repo, *edits)
    _tell_reporters(context, records)


def _tell_reporters(context: BoardContext, records: Iterable[FlagRecord]) -> None:
    """Whoever reported one of these models elsewhere than where its flag is spoken about now is told, once."""
    reported = {report.model.casefold(): report for report in reports(context)}
    for record in records:
        report = reported.get(record.model.casefold())
        if record.stands and report is not None:
            cause = record.flagged_by.cause if record.flagged_by is not None else ""
            tell_reporters(context, report, record.thread, cause, hides=record.kind.hides, dismissed="")
            drop_report(context, record.model)


def sync_cause(context: BoardContext, model: str) -> None:
    """Look whether the cause of the flag on `model` is gone; its thread is told, once."""
    record = evidence_recheck.recheck_evidence(context, model)
    if record is not None:
        mark_threads(context, [record])
