"""Recheck the evidence that a flag rests on, once a day and after each appeal.

Only evidence that the author can remove counts, such as a card that does not declare a merge. When it is gone, the bot
says so in the thread, once for each commit of the model; maintainers decide whether to lift the flag.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from bot.core.context import BoardContext
from bot.core.waiting_threads import note
from bot.flags.evidence import gather_case
from bot.flags.notices import EVIDENCE_GONE, after_maintainers, of_kind, say
from hub.records import Repo, Thread
from leaderboard.flag_evidence import EvidenceCase
from leaderboard.flags import FlagRecord
from leaderboard.suspicions import suspicions
from leaderboard.triage import Topic
from redis_state.dirty import SyncPriority
from redis_state.redis import text

log = structlog.get_logger()

CAUSE, CAUSES = "cause", "causes"
"""Dirty keys: `cause:{model}` rechecks the evidence of the flag on one model, `causes` marks that key for each flag."""


@dataclass(frozen=True)
class EvidenceRecheck:
    """Whether the cause of a flag is gone, at which commit of the model, and when the bot checked."""

    sha: str
    at: float
    is_gone: bool


def cause_key(model: str) -> str:
    """The dirty key that rechecks the flag on `model`."""
    return f"{CAUSE}:{model}"


def mark_causes(context: BoardContext) -> None:
    """Mark a recheck of each flag whose cause can go away."""
    keys = [
        cause_key(record.model)
        for record in context.flag_book.records()
        if record.stands and record.recheckable_codes()
    ]
    context.mark_all(keys, SyncPriority.BACKGROUND)


def recheck_evidence(context: BoardContext, model: str) -> FlagRecord | None:
    """Recheck the flag on `model`. Return its record if the cause is gone, unless it was gone before at this commit.

    The cause counts as present while the bot cannot read everything that the evidence rests on. Raises HubError.
    """
    flagged = context.flag_book.of([model])
    record = next((record for record in flagged if record.stands and record.recheckable_codes()), None)
    if record is None:
        return None
    others = tuple(dict.fromkeys(evidence.other for evidence in record.evidence if evidence.other))
    case, before = gather_case(context, record.model, others), find_recheck(context, record.model)
    codes = {finding.code for finding in suspicions(case)}
    is_gone = _is_readable(record, case) and not record.recheckable_codes() & codes
    recheck = EvidenceRecheck(case.subject.sha, context.now(), is_gone)
    context.redis.hset(context.keys.flag_rechecks, record.model.casefold(), json.dumps(vars(recheck)))
    changed = before is None or (before.sha, before.is_gone) != (recheck.sha, recheck.is_gone)
    log.info("cause of a flag", model=record.model, is_gone=recheck.is_gone)
    return record if changed and recheck.is_gone else None


def _is_readable(record: FlagRecord, case: EvidenceCase) -> bool:
    """Whether the bot could read the model, with its card, and the models that the evidence compares it with.

    A model that is private or gated now, or that the Hub did not show once, proves nothing. Licences are in the cards.
    """
    codes, cards = record.recheckable_codes(), [case.subject.card]
    compared = {evidence.other.casefold() for evidence in record.evidence if evidence.code in codes}
    if any(code.startswith("licence-") for code in codes):
        cards += [other.card for other in case.others]
    return bool(case.subject.sha) and None not in cards and not compared & case.unread


def find_recheck(context: BoardContext, model: str) -> EvidenceRecheck | None:
    """The last recheck of the flag on `model`."""
    raw = context.redis.hget(context.keys.flag_rechecks, model.casefold())
    return EvidenceRecheck(**json.loads(raw)) if raw is not None else None


def request_rechecks(context: BoardContext, standing: Iterable[FlagRecord], *, last_appeal: str) -> None:
    """Mark one recheck after each appeal; `last_appeal` is the id of the last one's comment, "" for none."""
    for record in standing:
        field = f"asked {record.model.casefold()}"
        checked = context.redis.hget(context.keys.flag_rechecks, field)
        if record.recheckable_codes() and last_appeal and (checked is None or text(checked) != last_appeal):
            context.mark(cause_key(record.model), SyncPriority.BACKGROUND)
            context.redis.hset(context.keys.flag_rechecks, field, last_appeal)


def report_gone(context: BoardContext, repo: Repo, thread: Thread, records: Iterable[FlagRecord]) -> int:
    """Post one comment for each flag whose cause is gone. Return the number of posted comments."""
    posted = 0
    for record in records:
        recheck = find_recheck(context, record.model) if record.stands else None
        if recheck is not None and recheck.is_gone:
            variables = {"model": record.model, "sha": recheck.sha, "category": record.kind.words}
            author, key = record.model.partition("/")[0], f"{record.model} {recheck.sha[:12]}"
            posted += say(context, repo, thread, EVIDENCE_GONE, key, author, **variables)
    if posted and thread.status == "open":
        note(context, repo, thread, Topic.APPEAL)
    return posted


def is_unanswered(context: BoardContext, thread: Thread) -> bool:
    """Whether the bot has said that a cause is gone and no maintainer has written since."""
    return bool(of_kind(context, after_maintainers(context, thread), EVIDENCE_GONE))
