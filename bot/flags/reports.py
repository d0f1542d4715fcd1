"""Reports of models, and the evidence about them, for maintainers until they decide.

Only maintainers see the evidence before the decision: a public suspicion reads as a verdict. So Redis holds it, and
`steward flags show` prints it. After Redis is lost, the next sync of the report's thread restores it; the reconciler
syncs open threads in turn.

Race accepted: two syncs write one report within a millisecond, and the later write drops the addition of the earlier
one. The next sync of that thread adds it again.
"""

from __future__ import annotations

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from bot.core.context import BoardContext
from bot.flags.evidence import digest_of, gather_case
from leaderboard.flags import FlagEvidence
from leaderboard.suspicions import Finding, suspicions
from redis_state.dirty import SyncPriority

log = structlog.get_logger()

EVIDENCE = "evidence"
"""Dirty keys `evidence:{model}`: a person reported that model."""
MAX_THREADS, MAX_NAMED = 50, 20
"""Threads, and other models, of one report: posting the decision costs three calls for each thread."""
MAX_REPORTED = 5
"""Models that one command or title can report: each costs about a dozen calls."""
MAX_OF_REPORTER = 20
"""Undecided reports of one person for which the bot gathers evidence by itself."""
STALE_SECONDS = 86_400.0
"""The age from which the sync of a thread gathers evidence anew."""


class FlagReport(BaseModel):
    """The report of one model, with its evidence; `gathered` is the time of the evidence, 0 before there is any.

    `threads` are the dirty keys of the threads that report the model; the other fields come from the first of them.
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
        """The findings in the form that the record of a flag holds."""
        return tuple(
            FlagEvidence(code=finding.code, message=finding.message, link=finding.link, other=finding.other)
            for finding in self.findings
        )

    def joined_with(self, later: FlagReport) -> FlagReport:
        """This report with the threads and named models of a later one, within the limits."""
        threads = tuple(dict.fromkeys((*self.threads, *later.threads)))[:MAX_THREADS]
        named = tuple(dict.fromkeys((*self.named, *later.named)))[:MAX_NAMED]
        return self.model_copy(update={"threads": threads, "named": named})

    def with_evidence(self, gathered: FlagReport) -> FlagReport:
        """This report with the evidence of another."""
        return self.model_copy(
            update={
                "gathered": gathered.gathered,
                "sha": gathered.sha,
                "weights": gathered.weights,
                "findings": gathered.findings,
            }
        )

    def with_findings(self, findings: tuple[Finding, ...]) -> FlagReport:
        """This report with other findings."""
        return self.model_copy(update={"findings": findings})


def evidence_key(model: str) -> str:
    """The dirty key of the evidence about `model`."""
    return f"{EVIDENCE}:{model}"


def note_report(context: BoardContext, report: FlagReport) -> None:
    """Store a report, joined with an earlier one of the same model, and mark its evidence to be gathered."""
    known = find_report(context, report.model)
    new = known.joined_with(report) if known is not None else report
    if new != known:
        _put(context, new)
    # Another thread changes no evidence unless it names another model to compare with.
    if known is not None and known.named == new.named and known.gathered > context.now() - STALE_SECONDS:
        return
    if sum(noted.reporter_id == report.reporter_id for noted in reports(context)) > MAX_OF_REPORTER:
        return  # `steward flags show` gathers the evidence when a maintainer asks for it
    context.mark(evidence_key(report.model), SyncPriority.EVENT)


def reported_before(context: BoardContext, model: str, key: str) -> str:
    """The address of the first report of `model`, where the thread with this dirty key joins that report; else ""."""
    known = find_report(context, model)
    if known is None or key in known.threads[:1]:
        return ""
    return known.url if key in known.threads or len(known.threads) < MAX_THREADS else ""


def find_report(context: BoardContext, model: str) -> FlagReport | None:
    """The report of `model`, if there is one."""
    raw = context.redis.hget(context.keys.flag_reports, model.casefold())
    return _parsed(raw) if raw is not None else None


def reports(context: BoardContext) -> list[FlagReport]:
    """All undecided reports, the oldest first."""
    stored = map(_parsed, context.redis.hvals(context.keys.flag_reports))
    return sorted((report for report in stored if report is not None), key=lambda report: report.at)


def _parsed(raw: bytes | str) -> FlagReport | None:
    try:
        return FlagReport.model_validate_json(raw)
    except ValidationError:
        return None  # stored by another version: the next sync of its thread stores it again


def drop_report(context: BoardContext, *models: str) -> None:
    """Delete the reports of these models, which are decided."""
    if models:
        context.redis.hdel(context.keys.flag_reports, *(model.casefold() for model in models))


def sync_evidence(context: BoardContext, model: str) -> None:
    """Gather the evidence for a flag on `model`, if its report is still undecided."""
    report = find_report(context, model)
    if report is None:
        return
    gathered = gather_report(context, model, report.named)
    # Those were about a dozen calls: meanwhile a maintainer may have decided, or another thread joined the report.
    report = find_report(context, model)
    if report is None:
        return
    _put(context, report.with_evidence(gathered))
    log.info("evidence", model=model, findings=[finding.code for finding in gathered.findings])


def gather_report(context: BoardContext, model: str, named: tuple[str, ...] = ()) -> FlagReport:
    """The evidence about `model` now, as a report; no person needs to have reported it. Raises HubError."""
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
