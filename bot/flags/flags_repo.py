"""The sync of the flags repo: read the records, compile the tables, mark the threads of changed flags.

People and the bot may change the records; the tables follow from them.

Race closed: the process dies, or the Hub refuses a call, after the read and before the threads are marked. The commit
whose changes were marked is noted apart; where it differs from the commit that was read, the sync marks all threads.

    flags            the repo may have a new commit                                      1 call
    evidence:{m}     a person reported a model                                           about a dozen
    cause:{m}        recheck the evidence of a flag: once a day, and after an appeal     about a dozen
"""

from __future__ import annotations

from collections.abc import Iterable

from bot.core.context import BoardContext
from bot.flags import evidence_recheck
from bot.flags.flag_files import table_edits
from bot.flags.flag_thread import mark_threads
from bot.flags.report_intake import tell_reporters
from bot.flags.reports import FlagReport, drop_report, reports
from bot.results.contents import mark_contents
from leaderboard.flags import FlagRecord
from leaderboard.times import read_time


def sync_flags(context: BoardContext) -> None:
    """Read the changes of the flags repo, stage the tables, and mark the threads of changed flags."""
    repo, book = context.flags_repo, context.flag_book
    if repo is None:
        return
    life = context.index.life()
    before = {record.model: record for record in book.records()}
    # A process that read the newest commit and failed before it marked the threads did not note its head.
    is_unmarked = context.index.head(repo.id) not in (None, book.known()[0])
    book.refresh()
    records = book.records()
    changed = [record for record in records if is_unmarked or before.get(record.model) != record]
    mark_threads(context, changed)
    for record in changed:
        for name in record.names:
            context.mark_model_page(name)
    if changed or len(before) != len(records):
        mark_contents(context)
    context.index.put_head(repo.id, book.known()[0], life)
    if edits := table_edits(context, records):
        context.effects.stage(repo, *edits)
    _tell_reporters(context, records)


def _tell_reporters(context: BoardContext, records: Iterable[FlagRecord]) -> None:
    """Notify the reporters of flagged models, once, in each thread that reported them, except the flag's own thread."""
    reported = {report.model.casefold(): report for report in reports(context)}
    for record in records:
        report = reported.get(record.model.casefold())
        if report is not None and _decides(record, report):
            cause = record.flagged_by.cause if record.flagged_by is not None else ""
            tell_reporters(context, report, record.thread, cause, hides=record.kind.hides, dismissed="")
            drop_report(context, record.model)


def _decides(record: FlagRecord, report: FlagReport) -> bool:
    """Whether the flag decides the report. A flag of one commit or precision decides only earlier reports."""
    decision = record.flagged_by
    flagged_at = read_time(decision.at if decision is not None else "") or 0.0  # in whole seconds
    return record.stands and (record.scope.is_whole or flagged_at >= int(report.at))


def sync_cause(context: BoardContext, model: str) -> None:
    """Recheck the evidence of the flag on `model`, and mark its thread if the cause is gone."""
    record = evidence_recheck.recheck_evidence(context, model)
    if record is not None:
        mark_threads(context, [record])
