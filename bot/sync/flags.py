"""The flags of a board in step with their repo: read, compiled into the tables, and told in their threads.

The records are what people and the bot decided; the tables follow from them, whoever changed them.

    flags            the repo may have another commit                                                   1 call
    evidence:{m}     a model was reported                                                              some dozen
    cause:{m}        once a day, and when somebody pleads: is the cause of its flag gone?              some dozen
"""

from __future__ import annotations

from bot.desk import Desk
from bot.flagging import cures
from bot.flagging.hearing import mark_threads
from bot.flagging.reports import drop_report
from bot.flagging.writing import table_edits


def sync_flags(desk: Desk) -> None:
    """Read what changed in the flags repo, have the tables compiled, and the threads of what changed looked at."""
    if desk.flags_repo is None:
        return
    before = {record.model: record for record in desk.flag_book.records()}
    desk.flag_book.refresh()
    records = desk.flag_book.records()
    changed = [record for record in records if before.get(record.model) != record]
    drop_report(desk, *(record.model for record in records if record.stands))
    mark_threads(desk, changed)
    if edits := table_edits(desk, records):
        desk.effects.stage(desk.flags_repo, *edits)


def sync_cause(desk: Desk, model: str) -> None:
    """Look whether the cause of the flag on `model` is gone; its thread is told, once."""
    record = cures.look(desk, model)
    if record is not None:
        mark_threads(desk, [record])
