"""Reports of models that somebody wants flagged, and the evidence that was found: for maintainers, until they decide.

What is suspected of a model is told to nobody else before that: a suspicion that everybody reads is a verdict. So it
lies in Redis, and `steward flags show` prints it. After Redis was lost it comes back as soon as the thread of the
report is looked at again: open ones are, in turn.

Race accepted: two syncs write one report within a millisecond, and the later one does not know what the earlier one
added. Its thread adds it again when it is looked at next.
"""

from __future__ import annotations

import structlog
from pydantic import BaseModel, ConfigDict

from bot.core.context import BoardContext
from bot.flags.evidence import digest_of, gather_case
from leaderboard.flags import FlagEvidence
from leaderboard.suspicions import Finding, suspicions
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

EVIDENCE = "evidence"
"""Dirty keys `evidence:{model}`: somebody reported that model."""
MOST_THREADS, MOST_NAMED = 50, 20
"""Threads, and other models, of one report: each thread is told what was decided, which takes three calls."""
MOST_REPORTED = 5
"""Models that one command or title reports: each costs some dozen calls."""
GATHERED = ("gathered", "sha", "weights", "findings")
"""Fields of a report that evidence fills in."""
STALE = 86_400.0
"""Seconds after which evidence is gathered anew, when its thread is looked at."""


class FlagReport(BaseModel):
    """What was reported of one model, where, and what was found; `gathered` is when, 0 where it is still to come.

    `threads` are the dirty keys of the threads in which it was reported; the other fields are those of the first.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    threads: tuple[str, ...] = ()
    url: str = ""
    reporter: str = ""
    reporter_id: str = ""
    at: float = 0.0
    named: tuple[str, ...] = ()
    gathered: float = 0.0
    sha: str = ""
    weights: str = ""
    findings: tuple[Finding, ...] = ()

    @property
    def evidence(self) -> tuple[FlagEvidence, ...]:
        """What was found, as a record of a flag holds it."""
        return tuple(
            FlagEvidence(code=one.code, message=one.message, link=one.link, other=one.other) for one in self.findings
        )


def evidence_key(model: str) -> str:
    """The dirty key of the evidence about `model`."""
    return f"{EVIDENCE}:{model}"


def note_report(context: BoardContext, report: FlagReport) -> None:
    """Keep that a model was reported, and have evidence gathered. The first report of it stays the one."""
    known = find_report(context, report.model)
    new = known or report
    if known is not None:
        threads = tuple(dict.fromkeys((*known.threads, *report.threads)))[:MOST_THREADS]
        named = tuple(dict.fromkeys((*known.named, *report.named)))[:MOST_NAMED]
        new = known.model_copy(update={"threads": threads, "named": named})
    if new != known:
        _put(context, new)
    # One thread more has nothing more to be looked at, unless it names a model to compare with.
    if known is not None and known.named == new.named and known.gathered > context.now() - STALE:
        return
    context.mark(evidence_key(report.model), SyncPriority.EVENT)


def reported_before(context: BoardContext, model: str, key: str) -> str:
    """The address at which `model` was reported first, where what is reported in the thread with this dirty key belongs
    to that; "" where it does not."""
    known = find_report(context, model)
    if known is None or key in known.threads[:1]:
        return ""
    return known.url if key in known.threads or len(known.threads) < MOST_THREADS else ""


def find_report(context: BoardContext, model: str) -> FlagReport | None:
    """What was reported of `model`."""
    raw = context.redis.hget(context.keys.flag_reports, model.casefold())
    return FlagReport.model_validate_json(raw) if raw is not None else None


def reports(context: BoardContext) -> list[FlagReport]:
    """Every report that nobody decided about, the oldest first."""
    found = [FlagReport.model_validate_json(raw) for raw in context.redis.hvals(context.keys.flag_reports)]
    return sorted(found, key=lambda one: one.at)


def drop_report(context: BoardContext, *models: str) -> None:
    """It was decided about these models."""
    if models:
        context.redis.hdel(context.keys.flag_reports, *(model.casefold() for model in models))


def sync_evidence(context: BoardContext, model: str) -> None:
    """Gather what speaks for a flag on `model`, if it is still reported."""
    report = find_report(context, model)
    if report is None:
        return
    found = gather_report(context, model, report.named)
    # That takes some dozen calls: meanwhile it may have been decided about, or reported once more.
    report = find_report(context, model)
    if report is None:
        return
    _put(context, report.model_copy(update={name: getattr(found, name) for name in GATHERED}))
    log.info("evidence", model=model, findings=[one.code for one in found.findings])


def gather_report(context: BoardContext, model: str, named: tuple[str, ...] = ()) -> FlagReport:
    """What there is to say of `model` now, whether anybody reported it or not. Raises HubError."""
    case = gather_case(context, model, named)
    return FlagReport(
        model=model,
        gathered=context.now(),
        sha=case.subject.sha,
        weights=digest_of(case.subject),
        findings=tuple(suspicions(case)),
    )


def _put(context: BoardContext, report: FlagReport) -> None:
    context.redis.hset(context.keys.flag_reports, report.model.casefold(), report.model_dump_json())
