"""Is the cause of a flag gone? The evidence that it rests on is looked for anew: once a day, and when somebody pleads.

Only what can be cured counts: a card that now declares a merge, or names the model that a copy was made of. That it is
gone is told in the thread, once for each commit of the model; whether the flag is lifted, maintainers decide.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from bot.core.context import BoardContext
from bot.core.waiting_threads import note
from bot.flags.notices import EVIDENCE_GONE, after_maintainers, of_kind, say
from bot.flags.reports import gather_report
from hub.records import Repo, Thread
from leaderboard.flags import FlagRecord
from leaderboard.triage import Topic
from redis_state.dirty import SyncPriority
from redis_state.redis import text

log = structlog.get_logger()

CAUSE, CAUSES = "cause", "causes"
"""Dirty keys: `cause:{model}`, look whether the cause of its flag is still there; `causes`, do so for each flag."""


@dataclass(frozen=True)
class EvidenceRecheck:
    """Whether the cause of a flag is gone: at which commit of the model it was looked for, and when."""

    sha: str
    at: float
    is_gone: bool


def cause_key(model: str) -> str:
    """The dirty key of the cause of the flag on `model`."""
    return f"{CAUSE}:{model}"


def mark_causes(context: BoardContext) -> None:
    """Have the cause of each flag looked for that could be gone."""
    recheckable_codes = [
        cause_key(record.model)
        for record in context.flag_book.records()
        if record.stands and record.recheckable_codes()
    ]
    context.mark_all(recheckable_codes, SyncPriority.BACKGROUND)


def recheck_evidence(context: BoardContext, model: str) -> FlagRecord | None:
    """Look whether the cause of the flag on `model` is gone; its record, where the answer is another than before.

    A model that the Hub shows us no more has cured nothing. Raises HubError.
    """
    record = next((one for one in context.flag_book.of([model]) if one.stands and one.recheckable_codes()), None)
    if record is None:
        return None
    others = tuple(dict.fromkeys(one.other for one in record.evidence if one.other))
    now, before = gather_report(context, record.model, others), find_recheck(context, record.model)
    found = {one.code for one in now.findings}
    cure = EvidenceRecheck(now.sha, context.now(), bool(now.sha) and not record.recheckable_codes() & found)
    context.redis.hset(context.keys.flag_rechecks, record.model.casefold(), json.dumps(vars(cure)))
    changed = before is None or (before.sha, before.is_gone) != (cure.sha, cure.is_gone)
    log.info("cause of a flag", model=record.model, is_gone=cure.is_gone)
    return record if changed and cure.is_gone else None


def find_recheck(context: BoardContext, model: str) -> EvidenceRecheck | None:
    """What was found when the cause of its flag was last looked for."""
    raw = context.redis.hget(context.keys.flag_rechecks, model.casefold())
    return EvidenceRecheck(**json.loads(raw)) if raw is not None else None


def request_rechecks(context: BoardContext, standing: Iterable[FlagRecord], *, asked: str) -> None:
    """Have causes looked for once after each plea; `asked` is the comment that holds the last one, "" for none."""
    for record in standing:
        field = f"asked {record.model.casefold()}"
        known = context.redis.hget(context.keys.flag_rechecks, field)
        if record.recheckable_codes() and asked and (known is None or text(known) != asked):
            context.mark(cause_key(record.model), SyncPriority.BACKGROUND)
            context.redis.hset(context.keys.flag_rechecks, field, asked)


def tell(context: BoardContext, repo: Repo, thread: Thread, records: Iterable[FlagRecord]) -> int:
    """Say of which flags the cause is gone; how many comments were posted."""
    posted = 0
    for record in records:
        cure = find_recheck(context, record.model) if record.stands else None
        if cure is not None and cure.is_gone:
            words = {"model": record.model, "sha": cure.sha, "category": record.kind.words}
            author, key = record.model.partition("/")[0], f"{record.model} {cure.sha[:12]}"
            posted += say(context, repo, thread, EVIDENCE_GONE, key, author, **words)
    if posted and thread.status == "open":
        note(context, repo, thread, Topic.APPEAL)
    return posted


def is_unanswered(context: BoardContext, thread: Thread) -> bool:
    """Whether we told that a cause is gone, and no maintainer has spoken since."""
    return bool(of_kind(context, after_maintainers(context, thread), EVIDENCE_GONE))
