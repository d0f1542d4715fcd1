"""Builds the records of an attempt: the outcome that a worker sends to the bot, and what it publishes on the Hub."""

from __future__ import annotations

from collections.abc import Callable

from leaderboard.attempts import Details, Outcome
from leaderboard.evidence import FailureEvidence
from leaderboard.trials import TrialReport
from redis_state.clock import now
from redis_state.jobs import EvaluationJob
from workers.common.diagnosis import diagnose, scrubbed_evidence
from workers.common.run_plan import RunPlan
from workers.jobs.worker_context import WorkerContext
from workers.publication.spool import Publication


def outcome_of(
    worker_context: WorkerContext,
    job: EvaluationJob,
    *,
    started: float,
    phase: str,
    replayed: int = 0,
    details: Details | None = None,
    trial: TrialReport | None = None,
    evidence: FailureEvidence | None = None,
) -> Outcome:
    """The outcome of an attempt that began at `started` (seconds since the epoch) and ends now, in `phase`.

    `replayed` answers were computed by an earlier attempt.

    Either the attempt published `details`, or it was a `trial`, or `evidence` is diagnosed, and scrubbed of secrets and
    folders.
    """
    return Outcome(
        attempt=job.attempt,
        path=job.path,
        revision=job.revision,
        suite=job.suite,
        suite_digest=job.suite_digest,
        started=started,
        ended=now(),
        phase=phase,
        details=details,
        trial=trial,
        failure=diagnose(evidence) if evidence else None,
        replayed=replayed,
        evidence=scrubbed_evidence(evidence, worker_context.secrets) if evidence else None,
        versions=worker_context.versions,
        hardware=worker_context.hardware,
    )


def publication_of(
    worker_context: WorkerContext,
    job: EvaluationJob,
    plan: RunPlan,
    revisions: dict[str, str],
    *,
    started: float,
    replayed: int,
    log: str,
    confirm_current: Callable[[], None],
    wait: Callable[[float], None],
) -> Publication:
    """The publication of an attempt that ran `plan` and ends now; `Publication` describes its fields."""
    return Publication(
        repo=worker_context.board.repos.details(job.model),
        restricted_repo=worker_context.board.repos.restricted_details(job.model),
        confirm_current=confirm_current,
        wait=wait,
        plan=plan,
        suite=worker_context.suite,
        request=job.path,
        precision=job.precision,
        started=started,
        ended=now(),
        revisions=revisions,
        log=log,
        versions=worker_context.versions,
        hardware=worker_context.hardware,
        secrets=worker_context.secrets,
        private=job.private,
        replayed=replayed,
    )
