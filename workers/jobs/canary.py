"""The canary: a known-good model that a worker runs before an attempt after one cause has failed many models.

A few questions of each task show whether harness, questions and machine still work.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from leaderboard.evidence import FailureEvidence
from leaderboard.failures import fails_always
from redis_state.canaries import CanaryVerdict
from redis_state.jobs import EvaluationJob
from workers.common.diagnosis import diagnose, evidence_of, failure_detail
from workers.common.run_plan import RunPlan
from workers.common.scrub import scrub
from workers.errors import CanaryFailed, DownloadError, EvaluationFailed
from workers.jobs.attempt_evaluation import AttemptEvaluation
from workers.jobs.background_call import AttemptStopped
from workers.jobs.board_link import UNHEARD, BoardLink, CanaryLink
from workers.jobs.provisions import Provisions
from workers.models.tiny_model import model
from workers.publication.spool import Publication, read_spool

log = logging.getLogger(__name__)

NAME = "steward/canary"
REVISION = "0" * 40
QUESTIONS = 3
"""Questions of each task that the canary answers."""


def ensure_canary_model(folder: Path) -> Path:
    """Return `folder` with the built-in tiny model, and write the model if it does not exist yet."""
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in model().items():
            (folder / name).write_bytes(data)
        (folder / "complete").touch()
    return folder


def canary_job(canary: str, job: EvaluationJob) -> EvaluationJob:
    """`job` with the canary `model@commit` in the place of its model: what to fetch for the canary."""
    name, _, revision = canary.partition("@")
    return job.with_model(name, revision)


def canary_plan(plan: RunPlan, folder: Path) -> RunPlan:
    """`plan` for the canary in `folder`: the same device and tasks, a few questions of each."""
    changes = {
        "model": NAME,
        "revision": REVISION,
        "model_path": folder,
        "weight_type": "Original",
        "base_model": "",
        "base_revision": "",
        "base_path": None,
        "dtype": "float32",
        "quantisation": {},
        "spread": "one",
        "copies": 1,
        "use_chat_template": False,
        "limit": QUESTIONS,
        "accepted": (),
    }
    return RunPlan.model_validate({**plan.model_dump(), **changes})


def run_canary(link: BoardLink, suite: str, worker: str, evaluate: Callable[[], str]) -> None:
    """If the bot asks for a canary of `suite`, run `evaluate` and report its verdict.

    `evaluate` returns the failure as a text, empty if the canary passed. Raises CanaryFailed if it failed. Releases the
    canary to other workers if `evaluate` raises anything.
    """
    claimed = _claim_canary(link, suite, worker)
    if claimed is None:
        return
    canaries, cause = claimed
    try:
        died_of = evaluate()
    except Exception:  # stopped, or an error of this attempt: the canary was not tried
        with suppress(*UNHEARD):  # the claim then expires by itself
            canaries.release(worker)
        raise
    _report(link, canaries, CanaryVerdict(cause=cause, died_of=died_of[:500], worker=worker))
    if died_of:
        raise CanaryFailed(died_of)


def evaluate_canary(
    evaluation: AttemptEvaluation, provisions: Provisions, publication: Callable[[RunPlan], Publication]
) -> str:
    """Run the canary model in the place of the attempt's model. Return its failure as a text, empty if it passed.

    `provisions` are the attempt's; `publication` describes what would be published of a plan.
    """
    worker_context, job = evaluation.worker_context, evaluation.job
    evaluation.log.say("one cause has struck many models: a model that is known to work goes first")
    if worker_context.settings.canary:
        try:
            canary_provisions = worker_context.hub_gateway.fetch(canary_job(worker_context.settings.canary, job))
        except DownloadError as error:
            evidence = evidence_of(error, evaluation.phase)
            if not fails_always(diagnose(evidence).cause):
                raise
            # Raised here, the error would count as the submitted model's fault.
            return _in_words(evidence, worker_context.secrets)
        folder, snapshots = canary_provisions.model, canary_provisions.held
    else:
        folder, snapshots = ensure_canary_model(worker_context.settings.work_dir.resolve() / "canary"), ()
    with evaluation.device_locked():
        plan = canary_plan(evaluation.plan(provisions), folder)
        child_exit = evaluation.run_child(plan)
    for snapshot in snapshots:
        snapshot.release()
    if child_exit.stopped in ("cancelled", "time-limit"):
        raise AttemptStopped(child_exit.stopped)
    failure = None if child_exit.finished else child_exit.evidence(evaluation.log.tail())
    if failure is None:
        try:
            read_spool(publication(plan))
        except EvaluationFailed as error:
            failure = evidence_of(error, child_exit.phase)
    worker_context.slot.prepare(own_user=worker_context.own_user)
    return "" if failure is None else _in_words(failure, worker_context.secrets)


def _in_words(evidence: FailureEvidence, secrets: Iterable[str]) -> str:
    """The cause of a failure, and its detail."""
    return f"{diagnose(evidence).cause} ({scrub(failure_detail(evidence), secrets)})"


def report_canary_failure(link: BoardLink, suite: str, worker: str, cause: str, detail: str) -> None:
    """Report a canary of `suite` that cannot start because of `cause`, for instance because the questions changed.

    The canary counts as failed only if the bot asks for it because of the same cause. Raises nothing.
    """
    claimed = _claim_canary(link, suite, worker)
    if claimed is None:
        return
    canaries, suspected_cause = claimed
    if suspected_cause == cause:
        _report(link, canaries, CanaryVerdict(cause=cause, died_of=f"{cause} ({detail})"[:500], worker=worker))
        return
    with suppress(*UNHEARD):  # the claim then expires by itself
        canaries.release(worker)


def _claim_canary(link: BoardLink, suite: str, worker: str) -> tuple[CanaryLink, str] | None:
    """Claim the canary for `worker`; return it with the suspected cause. None: no canary is due, or no answer came."""
    try:
        canaries = link.canaries(suite)
        cause = canaries.take(worker)
    except UNHEARD as error:
        log.warning("cannot ask whether a canary is due: %s", error)
        return None
    return (canaries, cause) if cause is not None else None


def _report(link: BoardLink, canaries: CanaryLink, verdict: CanaryVerdict) -> None:
    """Report the verdict and wake the bot; while it does not answer, another worker runs the canary again."""
    try:
        canaries.report(verdict.worker, verdict)
        link.mark_key(canaries.key)
    except UNHEARD as error:
        log.warning("the canary's verdict could not be reported: %s", error)
