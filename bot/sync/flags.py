"""The flags of a board in step with their repo: read, compiled into the tables, and told in their threads.

The records are what people and the bot decided; the tables follow from them, whoever changed them.

    flags            the repo may have another commit                                                   1 call
    evidence:{m}     a model was reported                                                              some dozen
    cause:{m}        once a day, and when somebody pleads: is the cause of its flag gone?              some dozen
"""

from __future__ import annotations

from bot.desk import Desk, thread_of
from bot.flagging import cures
from bot.flagging.hearing import mark_threads
from bot.flagging.notices import DECIDED, address, say
from bot.flagging.reports import drop_report, find_report
from bot.flagging.writing import table_edits
from bot.sync.contents import mark_contents
from hub.errors import ThreadNotFound
from leaderboard.flags import FlagRecord


def sync_flags(desk: Desk) -> None:
    """Read what changed in the flags repo, have the tables compiled, and the threads of what changed looked at."""
    if desk.flags_repo is None:
        return
    before = {record.model: record for record in desk.flag_book.records()}
    desk.flag_book.refresh()
    records = desk.flag_book.records()
    changed = [record for record in records if before.get(record.model) != record]
    for record in records:
        if record.stands:
            _tell_reporters(desk, record)
    mark_threads(desk, changed)
    if changed or len(before) != len(records):
        mark_contents(desk)
    if edits := table_edits(desk, records):
        desk.effects.stage(desk.flags_repo, *edits)


def _tell_reporters(desk: Desk, record: FlagRecord) -> None:
    """Whoever reported the model elsewhere than where it is spoken about now is told, once."""
    report, decision = find_report(desk, record.model), record.flagged_by
    if report is None:
        return
    words = {"model": record.model, "url": record.thread, "hides": record.kind.hides}
    for repo, number in filter(None, (thread_of(key.partition(":")[2]) for key in report.threads)):
        if address(desk, repo, number) == record.thread:
            continue
        try:
            thread = desk.hub.thread(repo, number)
        except ThreadNotFound:
            continue  # nobody is left to be told
        cause = f"{record.model} {decision.cause if decision is not None else ''}"
        say(desk, repo, thread, DECIDED, cause, thread.author_name, **words)
    drop_report(desk, record.model)


def sync_cause(desk: Desk, model: str) -> None:
    """Look whether the cause of the flag on `model` is gone; its thread is told, once."""
    record = cures.look(desk, model)
    if record is not None:
        mark_threads(desk, [record])
